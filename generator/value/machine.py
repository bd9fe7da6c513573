"""Knows what a machine has: an architecture, an id, paths, password hashes."""

import re
from enum import StrEnum

from generator.value.invalid import InvalidValueError, quoted


class Arch(StrEnum):
    """Go's names of processor architectures."""

    AMD64 = "amd64"
    ARM64 = "arm64"


def parse_password_hash(text: str) -> str:
    """A crypt(5) hash of a method that is still sound: yescrypt, gost-yescrypt, scrypt, bcrypt, SHA-512, SHA-256."""
    if not re.fullmatch(r"\$(y|gy|7|2[aby]|6|5)\$[./A-Za-z0-9$=,]{8,250}", text):
        raise InvalidValueError("this is not a password hash", "hash the password with: kubeseed hash-password")
    return text


def parse_absolute_path(text: str) -> str:
    """An absolute POSIX path without `..`, doubled slashes or characters that a shell would notice."""
    if not re.fullmatch(r"(/[A-Za-z0-9_.@%+=:,-]+)+", text) or {".", ".."} & set(text.split("/")):
        raise InvalidValueError(f"{quoted(text)} is not a plain absolute path", "write it like /var/lib/etcd")
    return text


def parse_uuid(text: str) -> str:
    """A UUID in the lower-case form of RFC 9562, section 4: firmware prints either case."""
    lower = text.lower()
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", lower):
        raise InvalidValueError(f"{quoted(text)} is not a UUID", "copy /sys/class/dmi/id/product_uuid of the machine")
    return lower
