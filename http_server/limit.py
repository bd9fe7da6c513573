"""Knows how often one caller may ask: token buckets, at most so many of them, the longest idle forgotten first."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MOST_KEYS = 8192


class Rate:
    """One bucket per key: `rate` per second, at most `burst` at once."""

    def __init__(self, rate: tuple[float, float], now: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst = rate
        self._now = now
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Seconds until the key may ask again; 0 when it may ask now."""
        with self._lock:
            now = self._now()
            level, since = self._buckets.pop(key, (self._burst, now))
            level = min(self._burst, level + (now - since) * self._rate)
            wait = 0.0 if level >= 1 else (1 - level) / self._rate
            self._buckets[key] = (level if wait else level - 1, now)
            if len(self._buckets) > MOST_KEYS:
                self._buckets.popitem(last=False)
            return wait
