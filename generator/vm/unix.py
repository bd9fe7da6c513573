"""Knows how to reach a Unix socket at any depth: the kernel takes paths of 107 bytes only (unix(7))."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TIMEOUT = 5.0


@contextmanager
def unix_socket(path: Path) -> Iterator[socket.socket]:
    """A connection to the socket at `path`. OSError when nobody listens."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT)
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")
            yield connection
    finally:
        os.close(folder)
