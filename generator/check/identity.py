"""Knows what no two nodes may share: names, addresses and hardware."""

from collections.abc import Callable, Iterable, Iterator
from urllib.parse import urlsplit

from generator.check.finding import Finding, warning
from generator.source import SpecPath
from generator.spec.cluster import Cluster
from generator.spec.node import Node

Marked = Iterable[tuple[SpecPath, str]]


def _shared(cluster: Cluster, what: str, marks: Callable[[Node], Marked]) -> Iterator[Finding]:
    """A finding for every value of `marks` (path below the node, value) that an earlier node has too."""
    seen: dict[str, Node] = {}
    hint = f"give each node a {what} of its own"
    for number, node in enumerate(cluster.nodes):
        for path, value in marks(node):
            first = seen.setdefault(value, node)
            if first is not node:
                yield Finding(
                    ("nodes", number, *path), f"{node.name} has the same {what} as {first.name}: {value}", hint
                )


def _macs(node: Node) -> Iterator[tuple[SpecPath, str]]:
    if node.mac:
        yield ("mac",), node.mac
    yield from ((("macs", number), mac) for number, mac in enumerate(node.macs))
    yield from ((("network", "cards", number, "mac"), card.mac) for number, card in enumerate(node.network.cards))


def check_addresses(cluster: Cluster) -> Iterator[Finding]:
    """Node addresses are unique."""
    return _shared(cluster, "node address", lambda node: [(("address",), str(node.address))])


def check_macs(cluster: Cluster) -> Iterator[Finding]:
    """A network card belongs to one node."""
    return _shared(cluster, "MAC address", _macs)


def check_product_uuids(cluster: Cluster) -> Iterator[Finding]:
    """kubeadm: product_uuid is unique for every node."""

    def marks(node: Node) -> Marked:
        return [(("productUuid",), node.product_uuid)] if node.product_uuid else []

    return _shared(cluster, "productUuid", marks)


def check_serials(cluster: Cluster) -> Iterator[Finding]:
    """A machine is one node."""

    def marks(node: Node) -> Marked:
        return [(("serial",), node.serial)] if node.serial else []

    return _shared(cluster, "serial number", marks)


def check_names(cluster: Cluster) -> Iterator[Finding]:
    """Node names are unique."""
    seen: set[str] = set()
    for number, node in enumerate(cluster.nodes):
        if node.name in seen:
            yield Finding(
                ("nodes", number, "name"), f"there are two nodes called {node.name}", "give each node a name of its own"
            )
        seen.add(node.name)


def check_coordinator(cluster: Cluster) -> Iterator[Finding]:
    """Nodes need somewhere to enrol at, and it cannot be one of them: its installation would wait for itself."""
    if not cluster.coordinator.all_urls:
        yield Finding(("coordinator", "url"), "url or urls is required", "write where `kubeseed serve` will listen")
    owners = {str(node.address): node.name for node in cluster.nodes}
    for url in cluster.coordinator.all_urls:
        if name := owners.get(urlsplit(url).hostname or ""):
            hint = "run the coordinator on a machine that is not installed by it"
            yield warning(("coordinator",), f"{url} is the address of node {name}", hint)
