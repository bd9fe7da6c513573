"""Knows whether cards, bonds and VLANs can carry what the spec puts on them."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_interface

from generator.check.finding import Finding, warning
from generator.profile import Profile
from generator.source import SpecPath
from generator.spec.cluster import Cluster
from generator.spec.node import Node
from generator.spec.node_network import Route
from generator.value import Network

# RFC 8200, section 5.
_LEAST_MTU = 1280
# Older releases of cloud-init find a card by the name that they give it themselves, for which they need its address.
_FINDS_CARDS = (22, 2)


def check_bonds(cluster: Cluster) -> Iterator[Finding]:
    """A bond has members, and more than one is the point of it."""
    for number, node in enumerate(cluster.nodes):
        if node.network.bond and len(node.all_macs) < 2:
            hint = "write the MAC addresses of all cards in macs, or remove network.bond"
            found = f"a bond joins several cards, and {node.name} names {len(node.all_macs)}"
            yield Finding(("nodes", number), found, hint)


def check_tagged(cluster: Cluster) -> Iterator[Finding]:
    """What is put on a card has to call it by name, and a name needs the card's MAC address."""
    for number, node in enumerate(cluster.nodes):
        if not node.all_macs and (node.network.vlan or node.network.cards):
            hint = "write mac: a VLAN or a second card leaves no doubt about the first"
            yield Finding(("nodes", number), f"nothing says which card of {node.name} is which", hint)


def check_cards(cluster: Cluster) -> Iterator[Finding]:
    """A further card without an address does nothing."""
    for number, node in enumerate(cluster.nodes):
        for at, card in enumerate(node.network.cards):
            if not card.dhcp and not card.addresses:
                path = ("nodes", number, "network", "cards", at)
                yield Finding(path, f"the card {card.mac} gets no address", "write addresses, or dhcp: true")


def check_routers(cluster: Cluster) -> Iterator[Finding]:
    """A router is a neighbour of the link that the route is on. With DHCP nobody knows the neighbours beforehand."""
    for number, node in enumerate(cluster.nodes):
        for path, routes, neighbours in _routes(node):
            for at, route in enumerate(routes):
                if neighbours and not any(route.via in network for network in neighbours):
                    message = f"the router {route.via} is in no network of this link"
                    yield Finding(("nodes", number, *path, at), message, "write a router next to the node")


def _routes(node: Node) -> Iterator[tuple[SpecPath, tuple[Route, ...], list[Network]]]:
    """The routes of each link with the networks that it is in."""
    settings = node.network
    if not settings.routes and not settings.cards:
        return
    own = [] if settings.dhcp else [node.subnet, *_networks(settings.addresses)]
    yield ("network", "routes"), settings.routes, own
    for number, card in enumerate(settings.cards):
        networks = [] if card.dhcp else _networks(card.addresses)
        yield ("network", "cards", number, "routes"), card.routes, networks


def _networks(addresses: tuple[str, ...]) -> list[Network]:
    return [ip_interface(address).network for address in addresses]


def check_mtu(cluster: Cluster) -> Iterator[Finding]:
    """IPv6 needs 1280 bytes on every link."""
    for number, node in enumerate(cluster.nodes):
        mtu = node.network.mtu
        if mtu and mtu < _LEAST_MTU and node.address.version == 6:
            path = ("nodes", number, "network", "mtu")
            yield Finding(path, f"IPv6 does not work with an MTU of {mtu}", f"write at least {_LEAST_MTU}")


def check_card_known(cluster: Cluster, profiles: Mapping[str, Profile]) -> Iterator[Finding]:
    """Old releases of cloud-init need the MAC address; said once for each operating system."""
    told: set[str] = set()
    for number, node in enumerate(cluster.nodes):
        profile = profiles.get(node.os)
        if profile and not node.all_macs and node.os not in told and profile.cloud_init_version < _FINDS_CARDS:
            told.add(node.os)
            message = f"cloud-init {profile.cloud_init} of {profile.name} may not find the network card"
            yield warning(("nodes", number), message, "write the node's mac")
