"""Knows how to wait: for a condition, with a deadline, and with words about what was missing."""

import time
from collections.abc import Callable
from typing import TypeVar

from tests.lab.command import LabError

T = TypeVar("T")


def until(what: str, ask: Callable[[], T | None], seconds: float, interval: float = 0.3) -> T:
    """The first answer of `ask` that is not None and not False. LabError when there is none within `seconds`.

    Asking takes at most a quarter of one processor, so that it does not slow down what is waited for.
    """
    deadline = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        answer = ask()
        if answer is not None and answer is not False:
            return answer
        if time.monotonic() > deadline:
            raise LabError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(max(interval, 3 * (time.monotonic() - asked)))
