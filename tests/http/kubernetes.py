"""A small Kubernetes API server for the tests: client certificates, Secrets and certificate signing requests."""

import base64
import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from http_server.inventory import Leaf
from http_server.model import Grant
from http_server.pki import certificate_pem, issue, key_pem, load_authority, make_ec_key
from http_server.secret import Secret

SECRETS = "/api/v1/namespaces/kube-system/secrets"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


@dataclass
class Cluster:
    """What the server holds, and what was asked of it."""

    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    fail_with: int = 0
    delay: float = 0.0
    port: int = 0

    def approved(self, name: str) -> bool:
        conditions = self.requests[name].get("status", {}).get("conditions", [])
        return any(condition["type"] == "Approved" and condition["status"] == "True" for condition in conditions)

    def add_request(self, name: str, signer: str, user: str, groups: list[str], usages: list[str], pem: bytes) -> None:
        spec = {"signerName": signer, "username": user, "groups": groups, "usages": usages}
        spec |= {"request": base64.b64encode(pem).decode()}
        self.requests[name] = {"metadata": {"name": name, "resourceVersion": "1"}, "spec": spec, "status": {}}


class _Handler(BaseHTTPRequestHandler):
    cluster: Cluster
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Says nothing."""

    def _answer(self, status: int, body: dict[str, Any] | None = None) -> None:
        data = json.dumps(body or {"kind": "Status", "code": status}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))) or b"{}")
        return found

    def _user(self) -> str:
        certificate = self.connection.getpeercert()
        names = dict(part[0] for part in certificate["subject"])
        return str(names["commonName"])

    def _refused(self) -> bool:
        self.cluster.asked.append((self.command, urlsplit(self.path).path, self._user()))
        time.sleep(self.cluster.delay)
        if self.cluster.fail_with:
            self._body()
            self._answer(self.cluster.fail_with)
        return bool(self.cluster.fail_with)

    def do_POST(self) -> None:
        if self._refused():
            return
        body = self._body()
        name = body["metadata"]["name"]
        if name in self.cluster.secrets:
            self._answer(409)
            return
        self.cluster.secrets[name] = body
        self._answer(201, body)

    def do_DELETE(self) -> None:
        if not self._refused():
            found = self.cluster.secrets.pop(self.path.rpartition("/")[2], None)
            self._answer(200 if found else 404)

    def do_GET(self) -> None:
        if self._refused():
            return
        query = parse_qs(urlsplit(self.path).query)
        signer = query["fieldSelector"][0].removeprefix("spec.signerName=")
        items = [item for item in self.cluster.requests.values() if item["spec"]["signerName"] == signer]
        start, limit = int(query.get("continue", ["0"])[0]), int(query["limit"][0])
        following = str(start + limit) if len(items) > start + limit else ""
        self._answer(200, {"items": items[start : start + limit], "metadata": {"continue": following}})

    def do_PUT(self) -> None:
        if not self._refused():
            name = self.path.split("/")[-2]
            self.cluster.requests[name] = self._body()
            self._answer(200)


class ApiServer:
    """A server that can be started once the cluster's authority exists, stopped, and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        self.cluster = Cluster(port=port)
        self._folder = folder
        self._server: ThreadingHTTPServer | None = None

    def start(self, authority_pem: bytes, key_pem_: bytes) -> None:
        """Answers from now on, to clients under this authority, with a certificate of its own under it."""
        handler = type("Handler", (_Handler,), {"cluster": self.cluster})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.cluster.port), handler)
        context = self._context(authority_pem, key_pem_)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _context(self, authority_pem: bytes, key: bytes) -> ssl.SSLContext:
        own = make_ec_key()
        profile = Leaf(commonName="kube-apiserver", sans=("IP:127.0.0.1",), usages=("serverAuth",), days=1)
        authority = load_authority(authority_pem, Secret(key))
        certificate = issue(Grant(1, profile), own.public_key(), authority, time.time())
        chain = self._folder / "apiserver.pem"
        chain.write_bytes(certificate_pem(certificate) + key_pem(own).reveal())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        context.load_verify_locations(cadata=authority_pem.decode())
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def request_pem(common_name: str, organization: str | None, sans: list[x509.GeneralName]) -> bytes:
    """A kubelet's certificate request."""
    key = ec.generate_private_key(ec.SECP256R1())
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
