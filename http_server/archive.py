"""Knows how to pack files for a node: a ustar archive that depends on nothing but names, modes and bytes."""

import io
import tarfile
from collections.abc import Iterable
from typing import NamedTuple


class Member(NamedTuple):
    """One regular file of an archive."""

    path: str
    data: bytes
    mode: int = 0o644


def pack(members: Iterable[Member]) -> bytes:
    """POSIX.1-1988 ustar, members by name, owner 0, time 0: the same members give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member in sorted(members):
            header = tarfile.TarInfo(member.path)
            header.size, header.mode = len(member.data), member.mode
            archive.addfile(header, io.BytesIO(member.data))
    return buffer.getvalue()
