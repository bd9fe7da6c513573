"""Knows how to carry a secret without showing it: `str` and `repr` are stars, `reveal()` opens it."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
STARS = "********"


@dataclass(frozen=True, slots=True)
class Secret(Generic[T]):
    """A value that must reach only artefacts marked secret. Every opening is a visible call of `reveal()`."""

    _value: T = field(repr=False)

    def reveal(self) -> T:
        """The value itself."""
        return self._value

    def __str__(self) -> str:
        return STARS

    def __repr__(self) -> str:
        return f"Secret({STARS})"

    def __format__(self, spec: str) -> str:
        return format(STARS, spec)
