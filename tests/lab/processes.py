"""Knows what every process on this host was started with, by the kernel's word on each exec (cn_proc)."""

import os
import socket
import struct
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

# linux/netlink.h, linux/connector.h, linux/cn_proc.h
_NETLINK_CONNECTOR = 11
_CN_IDX_PROC, _CN_VAL_PROC = 1, 1
_LISTEN, _IGNORE = 1, 2
_EVENT_EXEC = 2
_NLMSG_DONE = 3
_HEADERS = struct.Struct("=IHHII IIIIHH")  # nlmsghdr, cn_msg
_EVENT = struct.Struct("=IIQII")  # what, cpu, timestamp, then of exec: pid, tgid


class ProcessWatch:
    """While the block runs, `words` collects arguments and environment of everything that is started, containers too.

    A process that ends before it can be read is counted in `missed`.
    """

    def __init__(self) -> None:
        self.words: set[bytes] = set()
        self.seen = 0
        self.missed = 0
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_CONNECTOR)
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._socket.bind((0, _CN_IDX_PROC))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 2**20)
        self._socket.settimeout(0.5)
        self._order(_LISTEN)
        self._ended = False
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended = True
        self._thread.join(10)
        self._order(_IGNORE)
        self._socket.close()

    def _order(self, operation: int) -> None:
        size = _HEADERS.size + 4
        headers = _HEADERS.pack(size, _NLMSG_DONE, 0, 0, os.getpid(), _CN_IDX_PROC, _CN_VAL_PROC, 0, 0, 4, 0)
        self._socket.send(headers + struct.pack("=I", operation))

    def _listen(self) -> None:
        while not self._ended:
            try:
                data = self._socket.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                self.missed += 1  # the kernel had more to say than there was room for
                continue
            self._take(data)

    def _take(self, data: bytes) -> None:
        if len(data) < _HEADERS.size + _EVENT.size:
            return
        what, _, _, _, pid = _EVENT.unpack_from(data, _HEADERS.size)
        if what != _EVENT_EXEC:
            return
        self.seen += 1
        try:
            found = [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
        except OSError:
            found = []
        self.missed += not any(found)
        self.words.update(found)
