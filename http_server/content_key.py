"""Knows how a sealed snapshot opens: `openssl enc -aes-256-cbc -md sha256` under the key that key.cms holds."""

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

MAGIC, SALT, BLOCK = b"Salted__", 8, 16
CHUNK = 1 << 20


def opens(sealed: Path, key: str, digest: str) -> bool:
    """Whether the key gives back content of this SHA-256. Neither padding nor content of another key agree."""
    try:
        return _plain_digest(sealed, key) == digest
    except ValueError:
        return False


def _plain_digest(sealed: Path, key: str) -> str:
    running, padding = hashlib.sha256(), PKCS7(BLOCK * 8).unpadder()
    with sealed.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError("not what openssl enc writes")
        cipher, start = _key_and_start(key.encode(), file.read(SALT))
        opening = Cipher(AES256(cipher), CBC(start)).decryptor()
        while chunk := file.read(CHUNK):
            running.update(padding.update(opening.update(chunk)))
    running.update(padding.update(opening.finalize()) + padding.finalize())
    return running.hexdigest()


def _key_and_start(password: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """EVP_BytesToKey(3) with SHA-256 and one iteration: what every openssl of the matrix knows."""
    first = hashlib.sha256(password + salt).digest()
    return first, hashlib.sha256(first + password + salt).digest()[:BLOCK]
