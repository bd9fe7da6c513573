"""Knows what time it is, and that time never runs backwards: a clock set back revives nothing that has expired."""

import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Seconds since 1970."""

    def now(self) -> float:
        """The present, never before any earlier answer."""

    def since(self) -> float:
        """From when on what begins now should be valid: the system's own word, which may be before `now`."""


class HighWaterClock:
    """The system's clock, held at the highest mark ever seen; `mark` comes from the store at start."""

    def __init__(self, mark: float = 0.0, source: Callable[[], float] = time.time) -> None:
        self._mark = mark
        self._source = source

    def now(self) -> float:
        """The present, or the mark while the system's clock is behind it."""
        self._mark = max(self._mark, self._source())
        return self._mark

    def since(self) -> float:
        """The system's present, also while it is behind the mark: the mark may come from a clock that ran ahead."""
        return min(self._source(), self.now())

    def raise_to(self, mark: float) -> None:
        """Lifts the mark to the newest time that the store remembers."""
        self._mark = max(self._mark, mark)
