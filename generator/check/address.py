"""Knows whether a node's own address can work in its network."""

from collections.abc import Iterator

from generator.check.finding import Finding, warning
from generator.spec.cluster import Cluster
from generator.spec.node import Node


def check_node_addresses(cluster: Cluster) -> Iterator[Finding]:
    """The address is one that a machine can have."""
    for number, node in enumerate(cluster.nodes):
        if message := _unusable(node):
            hint = "write the address of the machine itself"
            yield Finding(("nodes", number, "address"), f"{node.address} {message}", hint)


def _unusable(node: Node) -> str:
    address = node.address
    if address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local:
        return "is not an address that others can reach"
    if address.version == 4 and node.subnet.prefixlen < 31 and address in (node.subnet[0], node.subnet[-1]):
        return f"is the network's own or its broadcast address in {node.subnet}"
    return ""


def check_prefixes(cluster: Cluster) -> Iterator[Finding]:
    """A prefix is no longer than the address."""
    for number, node in enumerate(cluster.nodes):
        if node.network.prefix > node.address.max_prefixlen:
            message = f"an IPv{node.address.version} address cannot have the prefix {node.network.prefix}"
            hint = f"write network.prefix, at most {node.address.max_prefixlen}"
            yield Finding(("nodes", number, "address"), message, hint)


def check_gateways(cluster: Cluster) -> Iterator[Finding]:
    """The gateway of a node with a static address is a neighbour."""
    for number, node in enumerate(cluster.nodes):
        if not node.network.dhcp:
            yield from _gateway(number, node)


def _gateway(number: int, node: Node) -> Iterator[Finding]:
    gateway = node.network.gateway
    if gateway is None:
        return
    if gateway == node.address:
        yield Finding(
            ("nodes", number, "address"), f"{node.name} would be its own gateway", "write the router's address"
        )
    elif gateway not in node.subnet:
        message = f"the gateway {gateway} is not in {node.subnet}, the network of {node.name}"
        yield Finding(("nodes", number, "address"), message, "check address, network.prefix and network.gateway")


def check_isolated(cluster: Cluster) -> Iterator[Finding]:
    """A static node without gateway or resolver is seldom meant; said once for all such nodes."""
    static = [node for node in cluster.nodes if not node.network.dhcp]
    for key, lacking, effect in (
        ("gateway", [node for node in static if node.network.gateway is None], "reach only their own network"),
        ("nameservers", [node for node in static if not node.network.nameservers], "can look up no names"),
    ):
        if lacking:
            message = f"nodes without {key} {effect}: {_named(lacking)}"
            yield warning(("defaults", "network", key), message, f"set defaults.network.{key}, or network.dhcp: true")


def _named(nodes: list[Node]) -> str:
    """The first three names, and how many more there are."""
    first = ", ".join(node.name for node in nodes[:3])
    return f"{first} and {len(nodes) - 3} more" if len(nodes) > 3 else first
