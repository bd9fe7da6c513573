"""Knows which refusals become audit rows: one a minute of each kind and node. The others are counted, not forgotten."""

import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TypeVar

from http_server.limit import MOST_KEYS, Rate
from http_server.model import AuditEvent

T = TypeVar("T")
ONCE_A_MINUTE = (1 / 60, 1.0)


class Alarms:
    """Refusals cannot fill the disk, and how many there were is told with the next row of their kind."""

    def __init__(self, rate: Rate | None = None) -> None:
        self._rate = rate or Rate(ONCE_A_MINUTE)
        self._lock = threading.Lock()
        self._left_out: OrderedDict[str, int] = OrderedDict()
        self._told: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def worth(self, event: AuditEvent) -> AuditEvent | None:
        """The event with the number of those left out before it; None when it is left out itself.

        Asked again for the same request it says the same: a decision may be made more than once.
        """
        key = f"{event.action} {event.node or event.peer}"
        with self._lock:
            request, count = self._told.get(key, ("", 0))
            if not request or request != event.request:
                if self._rate.take(key):
                    _keep(self._left_out, key, self._left_out.get(key, 0) + 1)
                    return None
                count = self._left_out.pop(key, 0)
                _keep(self._told, key, (event.request, count))
        return replace(event, detail={**event.detail, "left out": str(count)}) if count else event


def _keep(kept: OrderedDict[str, T], key: str, value: T) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > MOST_KEYS:
        kept.popitem(last=False)
