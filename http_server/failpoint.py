"""Where a test may kill the process: KUBESEED_FAILPOINT=before-commit:3 dies at the third commit, like kill -9."""

import os
import signal
from collections import Counter

VARIABLE = "KUBESEED_FAILPOINT"
_reached: Counter[str] = Counter()


def reach(point: str) -> None:
    """Does nothing unless the variable names this point and this is its time (the first, when no number is given)."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    _reached[point] += 1
    name, _, time = wanted.partition(":")
    if name == point and _reached[point] == int(time or 1):
        os.kill(os.getpid(), signal.SIGKILL)
