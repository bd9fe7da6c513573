"""Knows which machines asked for a boot script and were none of the nodes: in memory only, and only so many."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

from http_server.boot import Machine

MOST = 256


@dataclass(frozen=True, slots=True)
class Sighting:
    """A machine that got nothing, when it was last seen, how often, and why."""

    machine: Machine
    peer: str
    reason: str
    last: float
    count: int = 1


class Sightings:
    """The newest strangers. Whoever asks costs no write to the store (CVE lessons C20: nothing here is a proof)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[Machine, Sighting] = OrderedDict()

    def see(self, machine: Machine, peer: str, reason: str, now: float) -> None:
        """Remembers the machine as the newest, and forgets the oldest when there are too many."""
        with self._lock:
            before = self._seen.pop(machine, None)
            fresh = Sighting(machine, peer, reason, now)
            self._seen[machine] = replace(fresh, count=before.count + 1) if before else fresh
            while len(self._seen) > MOST:
                self._seen.popitem(last=False)

    def forget(self, machine: Machine) -> None:
        """The machine is a node by now."""
        with self._lock:
            self._seen.pop(machine, None)

    def all(self) -> tuple[Sighting, ...]:
        """Newest first."""
        with self._lock:
            return tuple(reversed(self._seen.values()))
