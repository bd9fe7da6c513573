"""Knows how to wait: for a condition, with a deadline, and with words about what was missing."""

import time
from collections.abc import Callable
from typing import TypeVar

from tests.lab.command import LabError

T = TypeVar("T")


def until(what: str, ask: Callable[[], T | None], seconds: float, interval: float = 0.3) -> T:
    """The first answer of `ask` that is not None and not False. LabError when there is none within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer is not None and answer is not False:
            return answer
        if time.monotonic() > deadline:
            raise LabError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(interval)
