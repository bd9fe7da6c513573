"""Knows how to hold secret bytes without showing them: `str`, `repr` and `format` are stars, `reveal()` opens."""

import hashlib
import hmac
from dataclasses import dataclass, field

STARS = "********"


@dataclass(frozen=True, slots=True)
class Secret:
    """Bytes that reach a log, a message or an audit row only as stars."""

    _value: bytes = field(repr=False)

    def reveal(self) -> bytes:
        """The bytes themselves; every opening is a visible call."""
        return self._value

    def __str__(self) -> str:
        return STARS

    def __repr__(self) -> str:
        return f"Secret({STARS})"

    def __format__(self, spec: str) -> str:
        return format(STARS, spec)

    def digest(self) -> str:
        """The SHA-256 of the bytes, in hexadecimal."""
        return hashlib.sha256(self._value).hexdigest()


def same(left: str, right: str) -> bool:
    """Compares two digests in constant time (CWE-208)."""
    return hmac.compare_digest(left.encode(), right.encode())
