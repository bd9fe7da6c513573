"""Knows ifupdown's interfaces(5), and systemd.link(5) which gives a card its name by its MAC address."""

from collections.abc import Iterator

from generator.plan.network import Link, LinkKind, Network
from generator.render.landing import Landed
from generator.render.text import one_line
from generator.value import version_of

_FAMILIES = {4: "inet", 6: "inet6"}


def render_interfaces(network: Network) -> Iterator[Landed]:
    """/etc/network/interfaces, a .link file for each card, and resolv.conf where the resolvers are known."""
    for link in network.links:
        if link.mac:
            text = f"[Match]\nMACAddress={link.mac}\n\n[Link]\nName={link.name}\n"
            yield Landed(f"/etc/systemd/network/10-kubeseed-{link.name}.link", 0o644, text)
    stanzas = [stanza for link in network.links for stanza in _stanzas(network, link)]
    blocks = ["# Made by kubeseed.\nauto lo\niface lo inet loopback\n", *stanzas]
    yield Landed("/etc/network/interfaces", 0o644, "\n".join(blocks))
    if network.nameservers:
        yield Landed("/etc/resolv.conf", 0o644, "".join(f"{line}\n" for line in _resolver(network)))


def _resolver(network: Network) -> Iterator[str]:
    if network.search:
        yield f"search {' '.join(network.search)}"
    yield from (f"nameserver {server}" for server in network.nameservers[:3])  # resolv.conf(5) reads three


def _stanzas(network: Network, link: Link) -> Iterator[str]:
    """One stanza for each address; what the link is made of is said in the first."""
    made_of = list(_made_of(network, link))
    heads = [f"auto {link.name}\n"]
    if not link.carries:
        yield _stanza(heads.pop(), link, "inet manual", made_of)
    if link.dhcp:
        yield _stanza(heads.pop() if heads else "", link, f"{_FAMILIES[link.dhcp]} dhcp", made_of)
        made_of = []
    for address in link.addresses:
        version = version_of(address)
        options = [*made_of, f"address {address}", *_routing(link, address, version), *_dns(network, link, address)]
        yield _stanza(heads.pop() if heads else "", link, f"{_FAMILIES[version]} static", options)
        made_of = []


def _stanza(head: str, link: Link, method: str, options: list[str]) -> str:
    return f"{head}iface {link.name} {method}\n" + "".join(f"  {one_line(option)}\n" for option in options)


def _made_of(network: Network, link: Link) -> Iterator[str]:
    bond = next((other for other in network.links if link.name in other.members), None)
    if bond:
        yield f"bond-master {bond.name}"
    if link.kind is LinkKind.VLAN:
        yield f"vlan-raw-device {link.parent}"
    if link.bond:
        yield f"bond-slaves {' '.join(link.members)}"
        yield f"bond-mode {link.bond.mode}"
        yield f"bond-miimon {link.bond.monitor_milliseconds}"
        if link.bond.hashes:
            yield f"bond-xmit-hash-policy {link.bond.hash_policy}"
    if link.mtu:  # the method dhcp has no option for it
        yield f"pre-up ip link set dev $IFACE mtu {link.mtu}" if link.dhcp else f"mtu {link.mtu}"


def _routing(link: Link, address: str, version: int) -> Iterator[str]:
    """The gateway and the routes that begin in this address' network, or with its first address of the family."""
    if address != _first(link, version):
        return
    if link.gateway and version_of(link.gateway) == version:
        yield f"gateway {link.gateway}"
    for hop in link.routes:
        if version_of(hop.to) == version:
            yield f"up ip route add {hop.to} via {hop.via} dev $IFACE"


def _dns(network: Network, link: Link, address: str) -> Iterator[str]:
    """For resolvconf(8), where it is installed."""
    if link.name != network.main or address != link.addresses[0]:
        return
    if network.nameservers:
        yield f"dns-nameservers {' '.join(network.nameservers)}"
    if network.search:
        yield f"dns-search {' '.join(network.search)}"


def _first(link: Link, version: int) -> str:
    return next(address for address in link.addresses if version_of(address) == version)
