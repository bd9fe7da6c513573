"""Knows NetworkManager's connections as keyfiles (nm-settings-keyfile(5)): cards are found by their MAC address."""

from collections.abc import Iterator, Mapping
from uuid import NAMESPACE_DNS, UUID, uuid5

from generator.plan.network import Link, LinkKind, Network
from generator.render.landing import Landed
from generator.render.text import one_line
from generator.value import version_of

_FOLDER = "/etc/NetworkManager/system-connections"
# The same name needs another value in each family.
_DYNAMIC = {4: "auto", 6: "dhcp"}

Sections = Mapping[str, Mapping[str, object]]


def render_keyfiles(hostname: str, network: Network) -> Iterator[Landed]:
    """One connection for each link."""
    for link in network.links:
        sections = _sections(hostname, network, link)
        text = "".join(_section(name, values) for name, values in sections.items())
        yield Landed(f"{_FOLDER}/kubeseed-{link.name}.nmconnection", 0o600, text)


def _sections(hostname: str, network: Network, link: Link) -> Sections:
    bond = next((other for other in network.links if link.name in other.members), None)
    connection: dict[str, object] = {
        "id": f"kubeseed-{link.name}",
        "uuid": _uuid(hostname, link.name),
        "type": {LinkKind.CARD: "ethernet", LinkKind.BOND: "bond", LinkKind.VLAN: "vlan"}[link.kind],
        **({} if link.kind is LinkKind.CARD else {"interface-name": link.name}),
        **({"master": bond.name, "slave-type": "bond"} if bond else {}),
    }
    addressing = {} if bond else {"ipv4": _family(network, link, 4), "ipv6": _family(network, link, 6)}
    return {"connection": connection, **_made_of(hostname, link), **addressing}


def _made_of(hostname: str, link: Link) -> Sections:
    mtu = {"mtu": link.mtu} if link.mtu else {}
    if link.kind is LinkKind.VLAN:
        return {"vlan": {"id": link.vlan, "parent": _uuid(hostname, link.parent)}, **({"ethernet": mtu} if mtu else {})}
    if link.bond:
        policy = {"xmit_hash_policy": link.bond.hash_policy.value} if link.bond.hashes else {}
        options = {"mode": link.bond.mode.value, "miimon": link.bond.monitor_milliseconds, **policy}
        return {"bond": options, **({"ethernet": mtu} if mtu else {})}
    return {"ethernet": {**({"mac-address": link.mac.upper()} if link.mac else {}), **mtu}}


def _family(network: Network, link: Link, version: int) -> Mapping[str, object]:
    addresses = [address for address in link.addresses if version_of(address) == version]
    method = _DYNAMIC[version] if link.dhcp == version else "manual" if addresses else _off(version)
    main = link.name == network.main and method not in {"disabled", "ignore"}
    servers = [server for server in network.nameservers if main and version_of(server) == version]
    gateway = link.gateway if link.gateway and version_of(link.gateway) == version else ""
    routes = [hop for hop in link.routes if version_of(hop.to) == version]
    return {
        "method": method,
        **({"dhcp-client-id": "mac"} if method == "auto" else {}),
        **{f"address{number}": address for number, address in enumerate(addresses, start=1)},
        **({"gateway": gateway} if gateway else {}),
        **{f"route{number}": f"{hop.to},{hop.via}" for number, hop in enumerate(routes, start=1)},
        **({"dns": "".join(f"{server};" for server in servers)} if servers else {}),
        **({"dns-search": "".join(f"{name};" for name in network.search)} if main and network.search else {}),
    }


def _off(version: int) -> str:
    """`disabled` is unknown for IPv6 before NetworkManager 1.20."""
    return "disabled" if version == 4 else "ignore"


def _uuid(hostname: str, link: str) -> UUID:
    return uuid5(NAMESPACE_DNS, f"{link}.{hostname}")


def _section(name: str, values: Mapping[str, object]) -> str:
    lines = "".join(f"{key}={one_line(value)}\n" for key, value in values.items())
    return f"[{name}]\n{lines}\n"
