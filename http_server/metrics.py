"""Knows what is counted of every request, in the Prometheus client's terms. No label is a caller's text."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
WHERE = ("listener", "method", "route")


class Metrics:
    """The counters of one process, in a registry of their own."""

    def __init__(self) -> None:
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
            "kubeseed_requests_in_flight", "Requests that hold a thread or wait for one.", registry=self.registry
        )
        self.connections = Gauge(
            "kubeseed_connections", "Open connections by listener.", ("listener",), registry=self.registry
        )

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
