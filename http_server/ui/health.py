"""Knows whether the coordinator is ready, and what Prometheus is told."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from http_server.model import EnrolmentState, InitState, ReportState
from http_server.service.context import Context, current_claim
from http_server.service.operator import status_data
from http_server.wire import Answer, Call, say


def readyz(context: Context, call: Call) -> Answer:
    """GET /readyz: the store answers, so nodes will be served; else 503. Says nothing else, because anybody may ask."""
    del call
    context.store.read(current_claim)
    return say("ready")


def metrics(context: Context, call: Call) -> Answer:
    """GET /metrics: what all processes of this coordinator answered, and the cluster's state at this moment."""
    del call
    state = CollectorRegistry()
    state.register(_ClusterState(status_data(context)))
    body = context.metrics.text() + generate_latest(state)
    return Answer(body=body, media_type=CONTENT_TYPE_LATEST)


class _ClusterState(Collector):
    """One look at the cluster as gauges. No node is named: thousands of nodes would be thousands of series."""

    def __init__(self, status: Mapping[str, Any]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        status = self._status
        nodes = status["nodes"].values()
        states = Counter(str(node["state"]) for node in nodes)
        by_state = (((str(state),), states[state]) for state in EnrolmentState)
        yield _family("kubeseed_nodes", "Nodes by the state of their enrolment.", ("state",), by_state)
        words = Counter((stage, str(word["state"])) for node in nodes for stage, word in node["stages"].items())
        pairs = ((stage, str(state)) for stage in status["stages"] for state in ReportState)
        by_word = ((pair, words[pair]) for pair in pairs)
        yield _family("kubeseed_stages", "Nodes by their latest word on a stage.", ("stage", "state"), by_word)
        init = status["init"]
        yield _gauge("kubeseed_init_epoch", "The epoch of the cluster's init.", init["epoch"])
        yield _gauge("kubeseed_init_complete", "1 when the cluster exists.", init["state"] == InitState.COMPLETE)
        yield _gauge("kubeseed_slot_taken", "1 while a master joins.", status["slot"] is not None)
        yield _gauge(
            "kubeseed_strangers", "Machines that asked what to boot and are no node.", len(status["strangers"])
        )
        yield from _backup(status["backup"])


def _backup(backup: Mapping[str, Any]) -> Iterator[Metric]:
    yield _gauge("kubeseed_backups", "Backups that are kept.", backup["count"])
    yield _gauge("kubeseed_backup_stale", "1 when the newest backup is too old, or there is none.", backup["stale"])
    if backup["age"] is not None:
        yield _gauge("kubeseed_backup_age_seconds", "Age of the newest backup.", backup["age"])
        yield _gauge("kubeseed_backup_taken_timestamp_seconds", "When the newest backup was taken.", backup["taken"])
        yield _gauge("kubeseed_backup_bytes", "Size of the newest backup.", backup["bytes"])


def _gauge(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, value=float(value))


def _family(
    name: str, what: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], int]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, what, labels=labels)
    for words, value in values:
        family.add_metric(words, value)
    return family
