"""Knows how key material is encrypted at rest: AES-256-GCM, bound to cluster, name and epoch, key outside the store."""

import os
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
    """ports.Keyring with one 256-bit key."""

    def __init__(self, key: Secret, cluster: str) -> None:
        self._cipher = AESGCM(key.reveal())
        self._cluster = cluster

    def _place(self, name: str, epoch: int) -> bytes:
        return f"{self._cluster}|{name}|{epoch}".encode()

    def seal(self, name: str, epoch: int, value: Secret) -> bytes:
        nonce = os.urandom(NONCE)
        return nonce + self._cipher.encrypt(nonce, value.reveal(), self._place(name, epoch))

    def unseal(self, name: str, epoch: int, sealed: bytes) -> Secret:
        try:
            return Secret(self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], self._place(name, epoch)))
        except (InvalidTag, ValueError):
            raise KeyringError(f"{name} of epoch {epoch} does not open with this keyring.key") from None


def load_keyring_key(path: Path, *, store_is_new: bool) -> Secret:
    """The key: from systemd's credentials when given (systemd.exec(5), LoadCredential), else from `path`.

    A new store makes its key; a store without its key is refused, because nothing in it could be opened.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(folder, "keyring.key") if folder else None
    if credential and credential.exists():
        return _parse(credential)
    if not path.exists():
        if not store_is_new:
            raise StartError(
                f"{path} is missing: the store's keys cannot be opened without it", "put it back from your backup"
            )
        create_private(path, os.urandom(KEY).hex().encode() + b"\n")
    check_private(path)
    return _parse(path)


def _parse(path: Path) -> Secret:
    try:
        key = bytes.fromhex(path.read_text("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY:
        raise StartError(f"{path} does not hold {2 * KEY} hexadecimal digits", "put it back from your backup")
    return Secret(key)
