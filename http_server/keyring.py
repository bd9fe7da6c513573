"""Knows how key material is encrypted at rest: AES-256-GCM, bound to cluster, name and epoch, key outside the store."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from http_server.errors import StartError
from http_server.private_file import check_private, create_private
from http_server.secret import Secret

NONCE = 12  # bytes, NIST SP 800-38D section 8.2.2: random nonces
KEY = 32


class KeyringError(Exception):
    """What was sealed was changed, moved, or sealed under another key."""


class AesKeyring:
    """ports.Keyring with 256-bit keys: the first one seals, all of them open (there are two while one is replaced)."""

    def __init__(self, keys: Sequence[Secret], cluster: str) -> None:
        self._ciphers = tuple(AESGCM(key.reveal()) for key in keys)
        self._cluster = cluster

    def _place(self, name: str, epoch: int) -> bytes:
        return f"{self._cluster}|{name}|{epoch}".encode()

    def seal(self, name: str, epoch: int, value: Secret) -> bytes:
        nonce = os.urandom(NONCE)
        return nonce + self._ciphers[0].encrypt(nonce, value.reveal(), self._place(name, epoch))

    def unseal(self, name: str, epoch: int, sealed: bytes) -> Secret:
        for cipher in self._ciphers:
            with suppress(InvalidTag, ValueError):
                return Secret(cipher.decrypt(sealed[:NONCE], sealed[NONCE:], self._place(name, epoch)))
        raise KeyringError(f"{name} of epoch {epoch} does not open with this keyring.key")


def make_key() -> Secret:
    """A new key."""
    return Secret(os.urandom(KEY))


def key_text(keys: Sequence[Secret]) -> bytes:
    """The file's bytes: one key a line, the one that seals first."""
    return b"".join(key.reveal().hex().encode() + b"\n" for key in keys)


def load_keyring_keys(path: Path, *, store_is_new: bool) -> tuple[Secret, ...]:
    """The keys: from systemd's credentials when given (systemd.exec(5), LoadCredential), else from `path`.

    A new store makes its key; a store without its key is refused, because nothing in it could be opened.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(folder, "keyring.key") if folder else None
    if credential and credential.exists():
        return parse_keys(credential)
    if not path.exists():
        if not store_is_new:
            raise StartError(
                f"{path} is missing: the store's keys cannot be opened without it", "put it back from your backup"
            )
        create_private(path, key_text((make_key(),)))
    check_private(path)
    return parse_keys(path)


def parse_keys(path: Path) -> tuple[Secret, ...]:
    """The keys in this file, or one sentence about what it holds instead."""
    try:
        keys = [bytes.fromhex(line) for line in path.read_text("ascii").split()]
    except ValueError:
        keys = []
    if not keys or any(len(key) != KEY for key in keys):
        raise StartError(f"{path} does not hold {2 * KEY} hexadecimal digits", "put it back from your backup")
    return tuple(map(Secret, keys))
