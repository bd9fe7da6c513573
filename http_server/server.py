"""Knows how one process listens: TLS for nodes, plain HTTP for booting machines, a unix socket for the operator."""

import asyncio
import errno
import fcntl
import os
import signal
import socket
import ssl
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from starlette.types import ASGIApp

from http_server.bell import Bell
from http_server.connection import guarded
from http_server.errors import StartError
from http_server.metrics import Metrics
from http_server.settings import Limits, Listen, Out

HANDSHAKE_SECONDS = 10.0
GOODBYE_SECONDS = 2.0  # a peer that does not answer TLS's close_notify is not waited for
BACKLOG = 1024
THREADS = 32


@dataclass(frozen=True, slots=True)
class Door:
    """One bound socket and what answers behind it. The name is for the metrics."""

    name: str
    sock: socket.socket
    app: ASGIApp
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
        self.servers = [await self._listen(asyncio.get_running_loop())]
        self.started = True

    async def _listen(self, loop: asyncio.AbstractEventLoop) -> asyncio.Server:
        door = self._door
        if door.sock.family == socket.AF_UNIX:
            return await loop.create_unix_server(self._protocol, sock=door.sock, backlog=BACKLOG)
        if door.tls is None:
            return await loop.create_server(self._protocol, sock=door.sock, backlog=BACKLOG)
        return await loop.create_server(
            self._protocol, sock=door.sock, backlog=BACKLOG, ssl=door.tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS, ssl_shutdown_timeout=GOODBYE_SECONDS,
        )  # fmt: skip

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )  # type: ignore[call-arg]  # uvicorn's protocols take these, asyncio's type does not say so
        return made


def make_server(door: Door, limits: Limits, metrics: Metrics) -> DoorServer:
    """A server that logs nothing by itself, believes no proxy and reads no environment."""
    protocol = guarded(limits, metrics.connections.labels(door.name))
    config = uvicorn.Config(
        door.app, http=protocol, ws="none", lifespan="off", log_config=None, access_log=False,
        proxy_headers=False, server_header=False, date_header=True,
        timeout_keep_alive=int(limits.idle), timeout_graceful_shutdown=limits.stop_time,
    )  # fmt: skip
    return DoorServer(config, door)


def run_in_loop(main: Coroutine[Any, Any, None]) -> None:
    """Runs the whole process in libuv's loop: a connection that waits costs kilobytes there, not the 256 KiB of
    asyncio's TLS, and a handshake half of the time.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


async def run(
    doors: tuple[Door, ...],
    limits: Limits,
    bell: Bell,
    hup: asyncio.Event,
    tasks: tuple[asyncio.Task[None], ...],
    metrics: Metrics,
) -> None:
    """Serves until SIGTERM or SIGINT, then lets answers finish; long-polls are answered at once."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(THREADS, "kubeseed"))
    bell.hang()
    servers = [make_server(door, limits, metrics) for door in doors]

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
    # asyncio switches the delay of small packets off only for sockets that say they are TCP (bpo-27456)
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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
