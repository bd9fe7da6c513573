"""Knows what is counted of every request, in the Prometheus client's terms. No label is a caller's text."""

import os
import shutil
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.process_collector import ProcessCollector

from http_server.errors import StartError
from http_server.private_file import FOLDER, create_private

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
WHERE = ("listener", "method", "route")


KINDS = ("counter", "histogram", "gauge_livesum")
ROOM = 2**19  # bytes of a file, more than every route with every status takes


def make_shared(folder: Path, count: int) -> None:
    """The files in which so many processes count. All of their bytes are written now: a disk that is full later cannot
    kill whoever counts in a file that is mapped into memory.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(FOLDER)
        for kind in KINDS:
            for number in range(count):
                create_private(folder / f"{kind}_{number}.db", bytes(ROOM))
    except OSError as error:
        raise StartError(f"{folder} cannot be written: {error.strerror}", "the workers count together there") from None


def count_in(folder: Path, number: int) -> None:
    """Metrics that this process makes from now on lie in its files (the client's multiprocess mode). The process that
    takes its place goes on with them, so that no sum ever falls.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call]


class Metrics:
    """What one process counts, in a registry of its own; with a shared folder it tells what all of them count."""

    def __init__(self, shared: Path | None = None) -> None:
        self._shared = shared
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter("kubeseed_requests", "Answered requests.", (*WHERE, "status"), registry=self.registry)
        self._seconds = Histogram(
            "kubeseed_request_seconds",
            "From a request's head to its answer; a long-poll counts its waiting.",
            WHERE,
            buckets=SECONDS,
            registry=self.registry,
        )
        self._answers: dict[tuple[str, str, str, int], tuple[Counter, Histogram]] = {}  # `labels` takes a while
        self._refusals = Counter("kubeseed_refusals", "Refused requests by code.", ("code",), registry=self.registry)
        self.in_flight = Gauge(
            "kubeseed_requests_in_flight", "Requests that a thread works for, or will.", registry=self.registry,
            multiprocess_mode="livesum",
        )  # fmt: skip
        self.connections = Gauge(
            "kubeseed_connections", "Open connections by listener.", ("listener",), registry=self.registry,
            multiprocess_mode="livesum",
        )  # fmt: skip
        self.in_flight.set(0)

    def answered(self, where: tuple[str, str, str], status: int, seconds: float) -> None:
        """Counts one answer of a route: listener, method and the table's path."""
        key = (*where, status)
        if key not in self._answers:
            self._answers[key] = (self._requests.labels(*key), self._seconds.labels(*where))
        requests, duration = self._answers[key]
        requests.inc()
        duration.observe(seconds)

    def refused(self, code: str) -> None:
        """Counts one refusal by its public code."""
        self._refusals.labels(code).inc()

    def text(self) -> bytes:
        """All of it, as Prometheus reads it. `process_...` are of the process that tells."""
        if not self._shared:
            return generate_latest(self.registry)
        everybody = CollectorRegistry()
        ProcessCollector(registry=everybody)
        MultiProcessCollector(everybody, str(self._shared))  # type: ignore[no-untyped-call]
        return generate_latest(everybody)
