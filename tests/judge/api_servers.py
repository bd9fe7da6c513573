"""Stands in for API servers: answers over TLS on loopback, and says which one it is."""

import contextlib
import datetime
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, ApiServer)
        self.send_response(200 if self.path != "/healthz" or server.healthy else 500)
        self.end_headers()
        self.wfile.write(b"ok" if self.path == "/healthz" else server.name.encode())

    def log_message(self, *_: object) -> None:
        """Keeps the test's output clean."""


class ApiServer(http.server.ThreadingHTTPServer):
    """`/healthz` follows `healthy`; every other path answers with the server's name."""

    daemon_threads = True

    def __init__(self, name: str, certificate: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name = name
        self.healthy = True
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def finish_request(self, request: Any, client_address: Any) -> None:
        """The handshake happens in the connection's own thread; one that fails is a client's affair."""
        with contextlib.suppress(OSError), self._context.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)


@contextlib.contextmanager
def api_server(name: str, folder: Path) -> Iterator[ApiServer]:
    """A running one."""
    with ApiServer(name, _certificate(folder / f"{name}.pem")) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _certificate(path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(pem, *plain) + certificate.public_bytes(pem))
    return path
