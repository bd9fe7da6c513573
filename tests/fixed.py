"""A clock that stands still and a source of randomness that repeats itself, so that tests can compare bytes."""

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import shake_256

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def fixed_random(seed: str = "kubeseed") -> Callable[[int], bytes]:
    """Bytes that look random and are the same in every run; each call gives others."""
    calls = 0

    def random(size: int) -> bytes:
        nonlocal calls
        calls += 1
        return shake_256(f"{seed} {calls}".encode()).digest(size)

    return random
