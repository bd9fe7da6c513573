"""Knows how to wake waiting long-polls: anybody rings from any thread, everybody who waits looks again."""

import asyncio


class Bell:
    """Waiting costs no thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rung = asyncio.Event()
        self.stopping = False

    def hang(self) -> None:
        """Says which loop the waiters live in; called once, inside it."""
        self._loop = asyncio.get_running_loop()

    def ring(self) -> None:
        """Wakes all waiters."""
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def stop(self) -> None:
        """Wakes all waiters for the last time."""
        self.stopping = True
        self.ring()

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
