"""Knows when a connection is closed for being slow, one too many, or a stranger on the operator's socket."""

import asyncio
import os
import socket
import struct
from collections import Counter
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from http_server.settings import Limits


class GuardedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with a deadline for every request head, and a bound on connections for each peer.

    `limits` and `peers` belong to one listener: see `guarded`.
    """

    limits: ClassVar[Limits] = Limits()
    peers: ClassVar[Counter[str]] = Counter()
    _deadline: asyncio.TimerHandle | None = None
    _peer = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
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
        crowded = len(self.connections) > self.limits.connections
        return not crowded and self.peers[self._peer] <= self.limits.connections_per_peer

    def _admit_operator(self, sock: Any) -> bool:
        """SO_PEERCRED, unix(7): root and the coordinator's own user only, whatever the socket's mode has become."""
        pid, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        self.client = (f"uid={uid}", pid)
        return uid in {0, os.geteuid()}

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        if self._peer:
            self.peers[self._peer] -= 1
            if not self.peers[self._peer]:
                del self.peers[self._peer]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._arm()
        else:
            self._disarm()

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.limits.first_request, self.transport.close)

    def _disarm(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None


def guarded(listener_limits: Limits) -> type[GuardedProtocol]:
    """A protocol class for one listener, with its own count of peers."""

    class ListenerProtocol(GuardedProtocol):
        limits = listener_limits
        peers: ClassVar[Counter[str]] = Counter()

    return ListenerProtocol
