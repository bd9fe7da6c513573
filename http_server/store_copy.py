"""Knows the sealed copy of the store that travels with every backup: only the keyring's key opens it."""

import sqlite3
import zlib
from pathlib import Path

from http_server.ports import Keyring, StoreUnavailableError
from http_server.secret import Secret
from http_server.store_sqlite import copy_of

MAGIC = b"kubeseed store 1\n"
NAME = "store-copy"


def sealed_copy(store: Path, keyring: Keyring) -> bytes:
    """The store as it is now, whole, while it is in use. It never touches a disk here."""
    try:
        content = copy_of(store)
    except sqlite3.Error as error:
        raise StoreUnavailableError(str(error)) from error
    return MAGIC + keyring.seal(NAME, 0, Secret(zlib.compress(content)))


def is_sealed(data: bytes) -> bool:
    """Whether these bytes are such a copy, and not a plain store."""
    return data.startswith(MAGIC)


def opened_copy(data: bytes, keyring: Keyring) -> bytes:
    """The store that was sealed; KeyringError when it was changed, or sealed under another key or cluster."""
    return zlib.decompress(keyring.unseal(NAME, 0, data.removeprefix(MAGIC)).reveal())
