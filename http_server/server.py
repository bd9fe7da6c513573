"""Knows how one process listens: TLS for nodes, plain HTTP for booting machines, a unix socket for the operator."""

import asyncio
import errno
import fcntl
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from http_server.bell import Bell
from http_server.connection import guarded
from http_server.errors import StartError
from http_server.settings import Limits, Listen, Out

HANDSHAKE_SECONDS = 10.0
BACKLOG = 1024
THREADS = 32


@dataclass(frozen=True, slots=True)
class Door:
    """One bound socket and what answers behind it."""

    sock: socket.socket
    app: Starlette
    tls: ssl.SSLContext | None = None


class DoorServer(uvicorn.Server):
    """uvicorn without its signal handlers (three servers share the process) and with a short time for handshakes."""

    def __init__(self, config: uvicorn.Config, door: Door) -> None:
        super().__init__(config)
        self._door = door

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are handled once, for all servers: see `run`."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, for exactly one socket that is bound already."""
        del sockets
        await self.lifespan.startup()
        handshake = HANDSHAKE_SECONDS if self._door.tls else None
        server = await asyncio.get_running_loop().create_server(
            self._protocol, sock=self._door.sock, ssl=self._door.tls, backlog=BACKLOG, ssl_handshake_timeout=handshake
        )
        self.servers = [server]
        self.started = True

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )  # type: ignore[call-arg]  # uvicorn's protocols take these, asyncio's type does not say so
        return made


def make_server(door: Door, limits: Limits) -> DoorServer:
    """A server that logs nothing by itself, believes no proxy and reads no environment."""
    config = uvicorn.Config(
        door.app, http=guarded(limits), ws="none", lifespan="off", log_config=None, access_log=False,
        proxy_headers=False, server_header=False, date_header=True, h11_max_incomplete_event_size=limits.header,
        timeout_keep_alive=int(limits.idle), timeout_graceful_shutdown=limits.stop_time,
    )  # fmt: skip
    return DoorServer(config, door)


async def run(
    doors: tuple[Door, ...], limits: Limits, bell: Bell, hup: asyncio.Event, tasks: tuple[asyncio.Task[None], ...]
) -> None:
    """Serves until SIGTERM or SIGINT, then lets answers finish; long-polls are answered at once."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(THREADS, "kubeseed"))
    bell.hang()
    servers = [make_server(door, limits) for door in doors]

    def stop() -> None:
        bell.stop()
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, hup.set)
    serving = tuple(asyncio.create_task(server.serve()) for server in servers)
    try:
        await asyncio.wait((*serving, *tasks), return_when=asyncio.FIRST_COMPLETED)
        stop()  # whatever ended first has been stopped or has failed: then its exception is raised below
        await asyncio.gather(*serving)
    finally:
        for task in tasks:
            task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task


def bind_together(listen: Listen, count: int) -> list[socket.socket]:
    """Sockets among which the kernel shares out the connections of one address; each is for one process."""
    bind(listen).close()  # tells who has it: sockets that share an address do not ask
    return [bind(listen, shared=True) for _ in range(count)]


def bind(listen: Listen, *, shared: bool = False) -> socket.socket:
    """A TCP socket on this address, or one sentence about who has it."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind((listen.host, listen.port))
    except OSError as error:
        sock.close()
        raise StartError(f"cannot listen on {listen}: {error.strerror}", _bind_hint(error, listen)) from None
    return sock


def _bind_hint(error: OSError, listen: Listen) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"another program has port {listen.port}; see: ss -ltnp 'sport = :{listen.port}'"
    if error.errno == errno.EACCES:
        return "ports below 1024 need root or CAP_NET_BIND_SERVICE"
    return "choose an address of this machine: --listen HOST:PORT, --boot-listen HOST:PORT"


def bind_private(path: Path) -> socket.socket:
    """The operator's unix socket, 0600 from the moment it exists. A socket left by a killed coordinator is replaced."""
    with suppress(FileNotFoundError):
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    except OSError as error:
        raise StartError(
            f"cannot make the operator's socket {path}: {error.strerror or error}", "use a shorter path for OUT"
        ) from None
    finally:
        os.umask(before)
    return sock


def lock(out: Out) -> int:
    """The only coordinator of this OUT, for as long as the process lives (flock(2)); returns the descriptor to keep."""
    descriptor = os.open(out.state / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StartError(f"a coordinator already serves {out.root}", f"kubeseed status {out.root}") from None
    return descriptor
