"""Knows what the format has a place for and this release cannot do: it is refused, never ignored. The list shrinks."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from generator.check.finding import Finding
from generator.source import SpecPath
from generator.spec.cluster import Cluster
from generator.spec.network import Plugin

Uses = Callable[[Cluster], Iterable[SpecPath]]


class Unsupported(NamedTuple):
    """What people know the feature by, the places where a spec uses it, and what to do instead."""

    name: str
    uses: Uses
    instead: str


def _when(path: SpecPath, used: Callable[[Cluster], bool]) -> Uses:
    return lambda cluster: [path] if used(cluster) else []


_LATER = "install it with kubectl or helm when the cluster is up"

UNSUPPORTED: tuple[Unsupported, ...] = (
    Unsupported(
        "network.plugin: calico",
        _when(("network", "plugin"), lambda cluster: cluster.network.plugin is Plugin.CALICO),
        "use flannel, or none and install calico yourself",
    ),
    Unsupported(
        "addons.ingress",
        _when(("addons", "ingress", "enabled"), lambda cluster: cluster.addons.ingress.enabled),
        _LATER,
    ),
    Unsupported(
        "addons.metricsServer",
        _when(("addons", "metricsServer", "enabled"), lambda cluster: cluster.addons.metrics_server.enabled),
        _LATER,
    ),
    Unsupported(
        "addons.dashboard",
        _when(("addons", "dashboard", "enabled"), lambda cluster: cluster.addons.dashboard.enabled),
        _LATER,
    ),
    Unsupported(
        "addons.certManager",
        _when(("addons", "certManager", "enabled"), lambda cluster: cluster.addons.cert_manager.enabled),
        _LATER,
    ),
)


def check_unsupported(cluster: Cluster) -> Iterator[Finding]:
    """Everything the spec asks for that this release cannot do."""
    for entry in UNSUPPORTED:
        for path in entry.uses(cluster):
            yield Finding(path, "not yet supported", entry.instead)
