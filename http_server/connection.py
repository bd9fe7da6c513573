"""Knows when a connection is closed for being slow, endless, one too many, or a stranger on the operator's socket."""

import asyncio
import os
import socket
import struct
from collections import Counter, OrderedDict
from typing import Any, ClassVar

from prometheus_client import Gauge
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from http_server.settings import Limits


class HeadTooLargeError(Exception):
    """Raised inside the parser's callbacks: uvicorn answers 400 and closes."""


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with a deadline for every request head, bounds on heads, and a bound on connections.

    `limits`, `counted`, `peers` and `waiting` belong to one listener: see `guarded`. `waiting` holds the connections
    without a request, the longest waiting first: when there are too many connections, that one makes room, so that any
    number of silent connections keeps nobody out who has something to ask.
    """

    limits: ClassVar[Limits] = Limits()
    counted: ClassVar[Gauge]
    peers: ClassVar[Counter[str]] = Counter()
    waiting: ClassVar["OrderedDict[GuardedProtocol, None]"] = OrderedDict()
    _deadline: asyncio.TimerHandle | None = None
    _peer = ""
    _head = 0
    _unheard = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.counted.inc()
        super().connection_made(transport)  # type: ignore[arg-type]  # asyncio says BaseTransport, uvicorn narrows it
        if not self._admit(transport):
            transport.close()
            return
        self._arm()

    def _admit(self, transport: asyncio.BaseTransport) -> bool:
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_UNIX:
            return self._admit_operator(sock)
        self._peer = self.client[0] if self.client else ""
        self.peers[self._peer] += 1
        if self.peers[self._peer] > self.limits.connections_per_peer:
            return False
        return len(self.connections) <= self.limits.connections or self._make_room()

    def _make_room(self) -> bool:
        """Closes the connection that has asked nothing for the longest time; False when every one has a request."""
        if not self.waiting:
            return False
        longest, _ = self.waiting.popitem(last=False)
        longest.transport.abort()
        return True

    def _admit_operator(self, sock: Any) -> bool:
        """SO_PEERCRED, unix(7): root and the coordinator's own user only, whatever the socket's mode has become."""
        pid, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        self.client = (f"uid={uid}", pid)
        return uid in {0, os.geteuid()}

    def connection_lost(self, exc: Exception | None) -> None:
        self.counted.dec()
        self._disarm()
        if self._peer:
            self.peers[self._peer] -= 1
            if not self.peers[self._peer]:
                del self.peers[self._peer]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A parser that keeps what it was fed without a word is cut off: the piece it waits for never ends."""
        self._unheard += len(data)
        super().data_received(data)
        if self._unheard > self.limits.header and not self.transport.is_closing():
            self.send_400_response("the request's head is too large")
        if self.cycle is None or self.cycle.response_complete:
            self._arm()
        else:
            self._disarm()

    def on_message_begin(self) -> None:
        self._head = self._unheard = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._measure(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Headers and, after a chunked body, trailers: together they are bounded."""
        self._measure(len(name) + len(value))
        super().on_header(name, value)

    def _measure(self, size: int) -> None:
        self._unheard = 0
        self._head += size
        if self._head > self.limits.header:
            raise HeadTooLargeError

    def on_body(self, body: bytes) -> None:
        self._unheard = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.pipeline and not self.transport.is_closing():
            self.waiting[self] = None

    def _arm(self) -> None:
        if self._deadline is None and not self.transport.is_closing():
            self.waiting[self] = None
            self._deadline = self.loop.call_later(self.limits.first_request, self.transport.close)

    def _disarm(self) -> None:
        self.waiting.pop(self, None)
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None


def guarded(listener_limits: Limits, connections: Gauge) -> type[GuardedProtocol]:
    """A protocol class for one listener, with its own count of peers."""
    connections.set(0)

    class ListenerProtocol(GuardedProtocol):
        limits = listener_limits
        counted = connections
        peers: ClassVar[Counter[str]] = Counter()
        waiting: ClassVar[OrderedDict[GuardedProtocol, None]] = OrderedDict()

    return ListenerProtocol
