"""Knows how to wake waiting long-polls: anybody rings from any thread, everybody who waits looks again."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress


class Bell:
    """Waiting costs no thread. Coordinator processes that serve together hear each other's rings through pipes."""

    def __init__(self, hear: int | None = None, others: Sequence[int] = ()) -> None:
        self._hear = hear
        self._others = tuple(others)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rung = asyncio.Event()
        self.stopping = False

    def hang(self) -> None:
        """Says which loop the waiters live in; called once, inside it."""
        self._loop = asyncio.get_running_loop()
        if self._hear is not None:
            self._loop.add_reader(self._hear, self._heard)

    def ring(self) -> None:
        """Wakes all waiters, of the other processes too."""
        for other in self._others:
            with suppress(BlockingIOError):  # it is full of rings already
                os.write(other, b"!")
        self._ring_here()

    def stop(self) -> None:
        """Wakes all waiters of this process for the last time."""
        self.stopping = True
        self._ring_here()

    def _ring_here(self) -> None:
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _heard(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._hear or 0, 4096)
        self._wake()

    def _wake(self) -> None:
        self._rung.set()
        self._rung = asyncio.Event()

    def listen(self) -> asyncio.Event:
        """The next ring. Take it before looking, so that a ring between looking and waiting is not missed."""
        return self._rung

    @staticmethod
    async def wait(ring: asyncio.Event, seconds: float) -> None:
        """Until that ring, or so many seconds."""
        try:
            await asyncio.wait_for(ring.wait(), seconds)
        except TimeoutError:
            return


def make_bells(count: int) -> tuple[Bell, ...]:
    """One bell for each of so many processes; made before they are forked."""
    pipes = [os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) for _ in range(count)]
    return tuple(
        Bell(hear, [write for other, (_, write) in enumerate(pipes) if other != number])
        for number, (hear, _) in enumerate(pipes)
    )
