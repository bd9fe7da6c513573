"""Knows which files a node gets: its filesets in order, a later one wins, and only the bytes of the inventory."""

import hashlib
import os
from pathlib import Path

from http_server.archive import Member, join_blocks
from http_server.errors import unavailable
from http_server.inventory import FileEntry, Inventory
from http_server.service.context import Context
from http_server.wire import TAR, Answer, Call, tagged


def files(context: Context, call: Call) -> Answer:
    """GET /v1/files: the node's files as tar, 304 when it has them already."""
    winners = sorted(chosen(context.inventory, call.caller.node), key=lambda winner: winner[1].path)
    return tagged(call, join_blocks(_packed(context, fileset, entry) for fileset, entry in winners), TAR)


def _packed(context: Context, fileset: str, entry: FileEntry) -> bytes:
    """Kept by the digest that the file's bytes were found to have: other bytes are another key."""
    key = (entry.path, entry.mode, entry.sha256)
    return context.packed.get(key, lambda: _member(context.settings.out.files / fileset, entry))


def chosen(inventory: Inventory, node: str) -> tuple[tuple[str, FileEntry], ...]:
    """The fileset and entry that win for each path of a node."""
    winners = {
        entry.path: (name, entry) for name in inventory.nodes[node].filesets for entry in inventory.filesets[name]
    }
    return tuple(winners.values())


def _member(folder: Path, entry: FileEntry) -> Member:
    """The path is the inventory's, checked when it was parsed; no caller has a word in it."""
    try:
        descriptor = os.open(folder / entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            data = file.read()
    except OSError as error:
        raise unavailable("files-incomplete", "a file is not there yet", f"{entry.path}: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise unavailable(
            "files-incomplete", "a file is being replaced", f"{entry.path}: other bytes than the inventory says"
        )
    return Member(entry.path, data, int(entry.mode, 8))
