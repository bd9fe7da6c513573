"""Knows how decisions that wait for the writer at the same time are committed together, each undone alone."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from http_server.ports import Transaction

T = TypeVar("T")
MOST_TOGETHER = 64


class UnrecordedChangeError(Exception):
    """A transaction changed state and recorded nothing: a fault of this program, never committed."""


@dataclass(slots=True)
class Work:
    """A decision that waits for its turn, and what became of it. `told` is for who waits in a loop."""

    decide: Callable[[Transaction], object]
    result: object = None
    error: Exception | None = None
    done: bool = False
    told: "asyncio.Future[None] | None" = None


class Batches:
    """The one writer of a store: a boot storm does not queue for the disk, nor for a round trip."""

    def __init__(self, commit: Callable[[list[Work]], None]) -> None:
        self._commit = commit
        self._lock = threading.Lock()
        self._waiting: deque[Work] = deque()
        self._called = False

    def transact(self, decide: Callable[[Transaction], T]) -> T:
        """As ports.Store.transact: `commit` fills in result or error of each work of a batch, durably."""
        work = Work(decide)
        self._waiting.append(work)
        with self._lock:
            while not work.done:
                self._commit_next()
        return cast("T", _outcome(work))

    async def transacted(self, decide: Callable[[Transaction], T]) -> T:
        """As ports.Store.transacted: one thread works for all that wait in the loop."""
        loop = asyncio.get_running_loop()
        work = Work(decide, told=loop.create_future())
        self._waiting.append(work)
        if not self._called:
            self._called = True
            loop.run_in_executor(None, self._commit_all)
        await cast("asyncio.Future[None]", work.told)
        return cast("T", _outcome(work))

    def _commit_all(self) -> None:
        with self._lock:
            self._called = False  # before it looks: whoever comes later calls again
            while self._waiting:
                self._commit_next()

    def _commit_next(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_TOGETHER))]
        try:
            self._commit(batch)
        except Exception as error:  # noqa: BLE001 - it is raised again where each of them is waited for
            for work in batch:
                work.error = error
        for work in batch:
            work.done = True
        for loop in {work.told.get_loop() for work in batch if work.told}:
            loop.call_soon_threadsafe(_tell, batch, loop)


def _tell(batch: list[Work], loop: asyncio.AbstractEventLoop) -> None:
    for work in batch:
        if work.told and work.told.get_loop() is loop and not work.told.done():
            work.told.set_result(None)


def _outcome(work: Work) -> object:
    if work.error:
        raise work.error
    return work.result
