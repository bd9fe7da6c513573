"""Knows the coordinator's side of docs/protocol.md well enough to play it for one node, over real TLS."""

import datetime
import hashlib
import io
import ssl
import tarfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from socket import socket
from urllib.parse import parse_qs

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

SECRET = "5ec7e7" * 10 + "abcd"
ENROL = f"0123456789abcdef:{SECRET}"


class Authority:
    """A certificate authority that signs whatever it is asked to."""

    def __init__(self, name: str) -> None:
        now = datetime.datetime.now(datetime.UTC)
        self.life = now - datetime.timedelta(hours=1), now + datetime.timedelta(days=30)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self._name, self._key.public_key(), authority=True)

    def sign(self, name: str, key: CertificatePublicKeyTypes) -> str:
        return pem(self._sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key))

    def key_pem(self) -> str:
        return key_pem(self._key)

    def pem(self) -> str:
        return pem(self.certificate)

    def _sign(self, subject: x509.Name, key: CertificatePublicKeyTypes, authority: bool = False) -> x509.Certificate:
        addresses = [x509.IPAddress(ip_address(f"127.0.0.{last}")) for last in (1, 2)]
        names = x509.SubjectAlternativeName([*addresses, x509.DNSName("localhost")])
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(self.life[0])
        builder = builder.not_valid_after(self.life[1]).add_extension(names, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        return builder.sign(self._key, hashes.SHA256())


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def archive(files: Mapping[str, str], *special: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for member in special:
            tar.addfile(member)
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text.encode()), 0o644
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


@dataclass(frozen=True)
class Asked:
    """One request as the coordinator saw it."""

    method: str
    route: str
    authorization: str
    form: Mapping[str, list[str]]
    body: bytes
    etag: str


@dataclass(frozen=True)
class Answer:
    """Status 0 closes the connection without an answer, as a lost one looks to the node."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal(status: int, message: str, **headers: str) -> Answer:
    body = f'{{"error": "refused", "message": "{message}", "request": "1"}}'.encode()
    return Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


Handler = Callable[[Asked], Answer]


def accept(_: Asked) -> Answer:
    return Answer()


def in_turn(*answers: Answer | Handler) -> Handler:
    """One answer after the other; the last one for ever."""
    left = list(answers)

    def answer(asked: Asked) -> Answer:
        following = left.pop(0) if len(left) > 1 else left[0]
        return following if isinstance(following, Answer) else following(asked)

    return answer


class Coordinator:
    """Answers a node. `rules` maps a route to its handler; a test replaces those it is about."""

    def __init__(self, folder: Path, files: Mapping[str, str] | None = None) -> None:
        self.root = Authority("kubeseed root")
        self.asked: list[Asked] = []
        self.digests: list[str] = []
        self.files = archive(files or {"hosts": "192.0.2.9 peer\n"})
        self.rules: dict[str, Handler] = {"/v1/enrol": self._enrol, "/v1/files": self._files, "/v1/reports": accept}
        self._folder = folder
        self._servers: list[ThreadingHTTPServer] = []

    def serve(self, listener: socket, authority: Authority | None = None) -> str:
        """Serves on the socket, by default with a certificate of the cluster's root; the URL for COORDINATORS."""
        return self.serve_as(self._answer, listener, authority or self.root)

    def serve_as(self, answer: Handler, listener: socket, authority: Authority | None) -> str:
        """Whatever else lives on the machine's network: TLS under the authority, plain HTTP without one."""
        server = _Server(listener, self._context(authority) if authority else None, answer)
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        return f"https://127.0.0.1:{listener.getsockname()[1]}"

    def _context(self, authority: Authority) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        chain = self._folder / f"server-{len(self._servers)}.pem"
        chain.write_text(authority.sign("server", key.public_key()) + key_pem(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def reports(self) -> list[str]:
        """The reports received, as `stage state`."""
        forms = [asked.form for asked in self.asked if asked.route == "/v1/reports"]
        return [f"{form['stage'][0]} {form['state'][0]}" for form in forms]

    def _answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        rule = self.rules.get(asked.route.partition("?")[0])
        return rule(asked) if rule else refusal(404, "no such route")

    def _enrol(self, asked: Asked) -> Answer:
        if asked.authorization != f"Enrolment {ENROL}":
            return refusal(401, "unknown, expired, revoked or wrong")
        digest = asked.form["digest"][0]
        self.digests.append(digest)
        return Answer() if digest == self.digests[0] else refusal(409, "the seed is bound to another credential")

    def _files(self, asked: Asked) -> Answer:
        etag = f'"{hashlib.sha256(self.files).hexdigest()}"'
        return Answer(304) if asked.etag == etag else Answer(200, self.files, {"ETag": etag})


class _Server(ThreadingHTTPServer):
    """TLS on a ready-made listening socket; the handshake happens in the request's thread."""

    daemon_threads = True

    def __init__(self, listener: socket, context: ssl.SSLContext | None, answer: Handler) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.context = context
        self.answer = answer

    def get_request(self) -> tuple[socket, object]:
        connection, address = super().get_request()
        if self.context is None:
            return connection, address
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: object, client_address: object) -> None:
        """A node that hangs up (wrong root, power cut) is what some tests are about."""


class _Conversation(BaseHTTPRequestHandler):
    server: _Server

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        form = parse_qs(body.decode()) if b"=" in body and not body.startswith(b"-----") else {}
        who, etag = self.headers.get("Authorization", ""), self.headers.get("If-None-Match", "")
        answer = self.server.answer(Asked(self.command, self.path, who, form, body, etag))
        if not answer.status:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = _answer  # noqa: N815 - the standard library's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """The test keeps what was asked; nothing is printed."""
