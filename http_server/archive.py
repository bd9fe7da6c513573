"""Knows how to pack files for a node: a ustar archive that depends on nothing but names, modes and bytes."""

import tarfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

MOST_BYTES = 32 * 2**20


class Member(NamedTuple):
    """One regular file of an archive."""

    path: str
    data: bytes
    mode: int = 0o644


def pack(members: Iterable[Member]) -> bytes:
    """POSIX.1-1988 ustar, members by name, owner 0, time 0: the same members give the same bytes."""
    return join_blocks(map(pack_one, sorted(members)))


def pack_one(member: Member) -> bytes:
    """The member as it lies in every archive: its header, and its bytes in whole blocks."""
    header = tarfile.TarInfo(member.path)
    header.size, header.mode = len(member.data), member.mode
    return _whole(header.tobuf(tarfile.USTAR_FORMAT) + member.data, tarfile.BLOCKSIZE)


def join_blocks(blocks: Iterable[bytes]) -> bytes:
    """The archive of these packed members; two empty blocks end it."""
    return _whole(b"".join((*blocks, bytes(2 * tarfile.BLOCKSIZE))), tarfile.RECORDSIZE)


def _whole(data: bytes, unit: int) -> bytes:
    return data + bytes(-len(data) % unit)


class PackedMembers:
    """Packed members by what makes them, so many bytes of them at most, the longest unused forgotten first."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._size = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, ...], bytes] = OrderedDict()

    def get(self, key: tuple[str, ...], make: Callable[[], Member]) -> bytes:
        """The packed member of this key, made when it is not kept."""
        with self._lock:
            if found := self._kept.get(key):
                self._kept.move_to_end(key)
                return found
        packed = pack_one(make())
        with self._lock:
            self._size += len(packed) - len(self._kept.pop(key, b""))
            self._kept[key] = packed
            while self._size > self._most:
                self._size -= len(self._kept.popitem(last=False)[1])
        return packed
