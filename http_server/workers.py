"""Knows how several processes serve as one: a parent that binds and waits, and workers that it replaces and stops."""

import contextlib
import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable

from http_server.errors import StartError

log = logging.getLogger("kubeseed.workers")
SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})
STOPS = frozenset({signal.SIGTERM, signal.SIGINT})
YOUNG = 5.0  # seconds: who dies earlier has a reason that a new one will meet, too
MOST_YOUNG = 5
PATIENCE = 10.0  # seconds that workers have to let their answers finish
_PR_SET_PDEATHSIG = 1  # prctl(2)


class Crew:
    """`count` processes that do `work(number)`, for as long as the parent lives and until it is told to stop."""

    def __init__(self, count: int, work: Callable[[int], None]) -> None:
        self._count = count
        self._work = work
        self._running: dict[int, tuple[int, float]] = {}
        self._died_young = 0

    def run(self) -> None:
        """Until SIGTERM or SIGINT; SIGHUP is passed on. StartError when workers die as soon as they live."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            for number in range(self._count):
                self._start(number)
            while (caught := signal.sigwait(SIGNALS)) not in STOPS:
                self._signal(signal.SIGHUP) if caught == signal.SIGHUP else self._replace()
        finally:
            self._stop()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _start(self, number: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self._running[pid] = (number, time.monotonic())
            return
        status = 1
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            if os.getppid() == parent:
                self._work(number)
            status = 0
        except StartError as error:
            log.error("worker %d: %s", number, error)  # noqa: TRY400 - the sentence says all that there is to say
            status = 3
        except BaseException:
            log.exception("worker %d ended", number)
        finally:
            logging.shutdown()
            sys.stderr.flush()
            os._exit(status)

    def _replace(self) -> None:
        """A new worker in each dead one's place."""
        for number, age in self._reap():
            self._died_young = self._died_young + 1 if age < YOUNG else 0
            log.warning("worker %d ended; a new one takes its place", number)
            if self._died_young >= MOST_YOUNG:
                raise StartError("the workers end as soon as they are started", "the lines above say why")
            self._start(number)

    def _reap(self) -> list[tuple[int, float]]:
        """Number and age of the workers that have ended."""
        found = []
        with contextlib.suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                if pid in self._running:
                    number, since = self._running.pop(pid)
                    found.append((number, time.monotonic() - since))
        return found

    def _stop(self) -> None:
        self._signal(signal.SIGTERM)
        end = time.monotonic() + PATIENCE
        while self._running and time.monotonic() < end:
            self._reap()
            time.sleep(0.05)
        self._signal(signal.SIGKILL)
        while self._running:
            self._reap()
            time.sleep(0.01)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
