"""Knows the newest picture of the cluster, piece by piece, and which pieces changed since a watcher last looked."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping

LEAST_SECONDS = 1.0
SHARE = 10  # a picture that takes long to make is made seldom: a tenth of one processor at most


class Board:
    """One picture for all who watch: it is made at most once a second, and only while somebody watches.

    Each piece remembers at which step it changed last, so a watcher is told what is new to it and nothing else.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = asyncio.Lock()
        self._due = 0.0
        self._pieces: dict[str, tuple[int, str]] = {}
        self._gone: dict[str, int] = {}
        self.step = 0

    async def renew(self, take: Callable[[], Mapping[str, object]]) -> None:
        """Makes the picture anew in a thread, unless the one there is new enough."""
        async with self._lock:
            if self._clock() < self._due:
                return
            started = self._clock()
            fresh = await asyncio.to_thread(_dumped, take)
            self.put(fresh)
            self._due = self._clock() + max(LEAST_SECONDS, SHARE * (self._clock() - started))

    def put(self, fresh: Mapping[str, str]) -> None:
        """Takes the next picture: pieces by name, as JSON."""
        self.step += 1
        for name, text in fresh.items():
            if name not in self._pieces or self._pieces[name][1] != text:
                self._pieces[name] = (self.step, text)
                self._gone.pop(name, None)
        for name in self._pieces.keys() - fresh.keys():
            del self._pieces[name]
            self._gone[name] = self.step

    def news(self, since: int) -> str:
        """What changed after that step, as one JSON object; empty when nothing did. Step 0 is told everything."""
        changed = ",".join(f"{json.dumps(name)}:{text}" for name, (step, text) in self._pieces.items() if step > since)
        gone = [name for name, step in self._gone.items() if step > since > 0]
        if not changed and not gone:
            return ""
        whole = json.dumps(since == 0)
        return f'{{"whole":{whole},"now":{time.time():.3f},"pieces":{{{changed}}},"gone":{json.dumps(gone)}}}'


def _dumped(take: Callable[[], Mapping[str, object]]) -> dict[str, str]:
    return {name: json.dumps(piece, separators=(",", ":")) for name, piece in take().items()}
