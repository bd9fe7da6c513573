"""A handler that does nothing, behind the coordinator's own listener: the most that any handler could reach."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.types import Receive, Scope, Send

from http_server.bell import Bell
from http_server.metrics import Metrics
from http_server.server import Door, bind, run, run_in_loop
from http_server.settings import Limits, Listen
from tests.http.outfolder import make_root
from tests.http.process import FORKS, free_port
from tests.http.wait import wait_for


@contextmanager
def empty(folder: Path, body: bytes, workers: int) -> Iterator[str]:
    """So many processes that answer this body, whatever is asked; their URL."""
    folder.mkdir()
    certificate, key = make_root("empty")
    (folder / "both.pem").write_bytes(certificate + key)
    port = free_port()
    processes = [FORKS.Process(target=_serve, args=(folder / "both.pem", body, port)) for _ in range(workers)]
    try:
        for process in processes:
            process.start()
        wait_for(lambda: listens(port), 20)
        yield f"https://127.0.0.1:{port}/"
    finally:
        for process in processes:
            process.terminate()
            process.join(10)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _serve(pem: Path, body: bytes, port: int) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem)
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    door = Door("tls", bind(Listen("127.0.0.1", port), shared=True), answer, tls)
    run_in_loop(run((door,), Limits(), Bell(), asyncio.Event(), (), Metrics()))
