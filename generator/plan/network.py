"""Knows how a machine's cards, bonds and VLANs carry its addresses, whoever then writes it down."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from generator.spec.node import Node
from generator.spec.node_network import Bond, Card, NodeNetwork, Route
from generator.value import version_of

# The word `default` is refused by cloud-init before 23.1.
_EVERYWHERE = {4: "0.0.0.0/0", 6: "::/0"}


class LinkKind(StrEnum):
    """What a link is made of."""

    CARD = "card"
    BOND = "bond"
    VLAN = "vlan"


@dataclass(frozen=True, slots=True)
class Hop:
    """A route as text: the network `to`, the router `via`."""

    to: str
    via: str


@dataclass(frozen=True, slots=True)
class Link:
    """One network interface. `name` is ours; a card is found by `mac`, and where that is empty it is the only one.

    `members` are a bond's cards, `parent` is what a VLAN is on. `dhcp` is 4, 6 or 0; a link without dhcp and addresses
    only carries others.
    """

    name: str
    kind: LinkKind
    mac: str = ""
    members: tuple[str, ...] = ()
    bond: Bond | None = None
    parent: str = ""
    vlan: int = 0
    mtu: int = 0
    dhcp: int = 0
    addresses: tuple[str, ...] = ()
    gateway: str = ""
    routes: tuple[Hop, ...] = ()

    @property
    def carries(self) -> bool:
        """Whether the link has an address of its own."""
        return bool(self.dhcp or self.addresses)

    @property
    def all_routes(self) -> tuple[Hop, ...]:
        """The default route, where there is one, and all others."""
        default = (Hop(_EVERYWHERE[version_of(self.gateway)], self.gateway),) if self.gateway else ()
        return (*default, *self.routes)


@dataclass(frozen=True, slots=True)
class Network:
    """All links of a machine, each after those that it is made of; `main` has the node's address."""

    links: tuple[Link, ...]
    main: str
    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()

    @property
    def main_link(self) -> Link:
        return self.link(self.main)

    def link(self, name: str) -> Link:
        return next(link for link in self.links if link.name == name)

    @property
    def is_plain(self) -> bool:
        """Whether every address is on a card itself, so that no link has to call another by name."""
        return all(link.kind is LinkKind.CARD for link in self.links)


def plan_network(node: Node) -> Network:
    """The network of a checked node."""
    settings = node.network
    links = (*_main_links(node, settings), *_further_links(node, settings))
    main = next(link.name for link in links if link.carries)
    return Network(links, main, tuple(map(str, settings.nameservers)), settings.search_domains)


def _main_links(node: Node, settings: NodeNetwork) -> Iterator[Link]:
    """What carries the node's own address: a card or a bond, and a VLAN on it."""
    macs = node.all_macs or ("",)
    if settings.bond:
        members = tuple(f"nic{number}" for number in range(len(macs)))
        for name, mac in zip(members, macs, strict=True):
            yield Link(name, LinkKind.CARD, mac=mac, mtu=settings.mtu or 0)
        base = Link("bond0", LinkKind.BOND, members=members, bond=settings.bond, mtu=settings.mtu or 0)
    else:
        base = Link("nic0", LinkKind.CARD, mac=macs[0], mtu=settings.mtu or 0)
    addresses = () if settings.dhcp else (f"{node.address}/{settings.prefix}",)
    yield from _tagged(
        base,
        settings.vlan,
        dhcp=node.address.version if settings.dhcp else 0,
        addresses=(*addresses, *settings.addresses),
        gateway="" if settings.dhcp else str(settings.gateway or ""),
        routes=_hops(settings.routes),
    )


def _further_links(node: Node, settings: NodeNetwork) -> Iterator[Link]:
    first = len(node.all_macs) if settings.bond else 1
    for number, card in enumerate(settings.cards, start=first):
        base = Link(f"nic{number}", LinkKind.CARD, mac=card.mac, mtu=card.mtu or 0)
        yield from _tagged(
            base, card.vlan, dhcp=_family(node, card), addresses=card.addresses, routes=_hops(card.routes)
        )


def _family(node: Node, card: Card) -> int:
    return node.address.version if card.dhcp else 0


def _tagged(
    base: Link,
    vlan: int | None,
    *,
    dhcp: int,
    addresses: tuple[str, ...],
    gateway: str = "",
    routes: tuple[Hop, ...] = (),
) -> Iterator[Link]:
    """The base with its addresses, or the bare base and a VLAN with them."""
    own = (
        base if vlan is None else Link(f"{base.name}.{vlan}", LinkKind.VLAN, parent=base.name, vlan=vlan, mtu=base.mtu)
    )
    if own is not base:
        yield base
    yield replace(own, dhcp=dhcp, addresses=addresses, gateway=gateway, routes=routes)


def _hops(routes: tuple[Route, ...]) -> tuple[Hop, ...]:
    return tuple(Hop(str(route.to), str(route.via)) for route in routes)
