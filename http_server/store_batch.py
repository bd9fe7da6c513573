"""Knows how decisions that wait for the writer at the same time are committed together, each undone alone."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from http_server.ports import StoreUnavailableError, Transaction

T = TypeVar("T")
MOST_TOGETHER = 64


class UnrecordedChangeError(Exception):
    """A transaction changed state and recorded nothing: a fault of this program, never committed."""


@dataclass(slots=True)
class Work:
    """A decision that waits for its turn, and what became of it."""

    decide: Callable[[Transaction], object]
    result: object = None
    error: Exception | None = None
    done: bool = False


class Batches:
    """The one writer of a store: a boot storm does not queue for the disk, nor for a round trip."""

    def __init__(self, commit: Callable[[list[Work]], None]) -> None:
        self._commit = commit
        self._lock = threading.Lock()
        self._waiting: deque[Work] = deque()

    def transact(self, decide: Callable[[Transaction], T]) -> T:
        """As ports.Store.transact: `commit` fills in result or error of each work of a batch, durably."""
        work = Work(decide)
        self._waiting.append(work)
        with self._lock:
            while not work.done:
                self._commit_next()
        if work.error:
            raise work.error
        return cast("T", work.result)

    def _commit_next(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_TOGETHER))]
        try:
            self._commit(batch)
        except StoreUnavailableError as error:
            for work in batch:
                work.error = error
        for work in batch:
            work.done = True
