"""Knows cloud-init's network configuration: version 2 (netplan's), and version 1 for releases before 17.1."""

from functools import lru_cache
from ipaddress import ip_network

from generator.plan.network import Hop, Link, LinkKind, Network
from generator.plan.seed import Seed
from generator.render.dump import Data, dump_yaml

_VERSION_2 = (17, 1)
# Before this a card is looked for under the name of its key, unless cloud-init gives it that name (LP #1855945).
_FINDS_CARDS = (22, 2)


def render_network_config(seed: Seed) -> bytes:
    """All links of the node; cards are found by their MAC address."""
    return _rendered(seed.network, seed.cloud_init)


@lru_cache(maxsize=2)
def _rendered(network: Network, cloud_init: tuple[int, ...]) -> bytes:
    if cloud_init < _VERSION_2:
        return dump_yaml(version_1(network)).encode()
    return dump_yaml(version_2(network, named=cloud_init < _FINDS_CARDS)).encode()


def version_2(network: Network, *, named: bool) -> dict[str, Data]:
    """netplan's format. Cards get names of ours where `named`, and where another link has to call them by name."""
    named = named or not network.is_plain
    tree: dict[str, dict[str, Data]] = {}
    for link in network.links:
        section = {LinkKind.CARD: "ethernets", LinkKind.BOND: "bonds", LinkKind.VLAN: "vlans"}[link.kind]
        resolvers = _resolvers(network) if link.name == network.main else {}
        tree.setdefault(section, {})[link.name] = {**_made_of(link, named), **_addressing(link), **resolvers}
    return {"version": 2, **tree}


def _made_of(link: Link, named: bool) -> dict[str, Data]:
    mtu: dict[str, Data] = {"mtu": link.mtu} if link.mtu else {}
    if link.kind is LinkKind.VLAN:
        return {"id": link.vlan, "link": link.parent, **mtu}
    if link.bond:
        bond = link.bond
        return {
            "interfaces": link.members,
            "parameters": {
                "mode": bond.mode.value,
                "mii-monitor-interval": str(bond.monitor_milliseconds),
                **({"transmit-hash-policy": bond.hash_policy.value} if bond.hashes else {}),
            },
            **mtu,
        }
    if not link.mac:
        return {"match": {"name": "e*"}, **mtu}
    return {"match": {"macaddress": link.mac}, **({"set-name": link.name} if named else {}), **mtu}


def _addressing(link: Link) -> dict[str, Data]:
    # The address belongs to the card: the installer, iPXE and the system must be the same client to the DHCP server.
    dynamic: dict[int, dict[str, Data]] = {
        4: {"dhcp4": True, "dhcp-identifier": "mac"},
        6: {"dhcp6": True},
        0: {},
    }
    routes: list[Data] = [{"to": hop.to, "via": hop.via} for hop in link.all_routes]
    return {
        **dynamic[link.dhcp],
        **({"addresses": link.addresses} if link.addresses else {}),
        **({"routes": routes} if routes else {}),
    }


def _resolvers(network: Network) -> dict[str, Data]:
    addresses: dict[str, Data] = {"addresses": network.nameservers} if network.nameservers else {}
    search: dict[str, Data] = {"search": network.search} if network.search else {}
    return {"nameservers": {**addresses, **search}} if addresses or search else {}


def version_1(network: Network) -> dict[str, Data]:
    """curtin's format, which names every card."""
    config = [{**_device(link), **_subnets(link)} for link in network.links]
    if network.nameservers:
        config.append({"type": "nameserver", "address": network.nameservers, "search": network.search})
    return {"version": 1, "config": config}


def _device(link: Link) -> dict[str, Data]:
    mtu: dict[str, Data] = {"mtu": link.mtu} if link.mtu else {}
    if link.kind is LinkKind.VLAN:
        return {"type": "vlan", "name": link.name, "vlan_link": link.parent, "vlan_id": link.vlan, **mtu}
    if link.bond:
        bond = link.bond
        params: dict[str, Data] = {"bond-mode": bond.mode.value, "bond-miimon": bond.monitor_milliseconds}
        if bond.hashes:
            params["bond-xmit_hash_policy"] = bond.hash_policy.value
        return {"type": "bond", "name": link.name, "bond_interfaces": link.members, "params": params, **mtu}
    mac: dict[str, Data] = {"mac_address": link.mac} if link.mac else {}
    return {"type": "physical", "name": link.name, **mac, **mtu}


def _subnets(link: Link) -> dict[str, Data]:
    subnets: list[dict[str, Data]] = [{"type": f"dhcp{link.dhcp}"}] if link.dhcp else []
    subnets += [{"type": "static", "address": address} for address in link.addresses]
    if subnets:
        subnets[0] |= {"gateway": link.gateway} if link.gateway else {}
        subnets[0] |= {"routes": [_old_route(hop) for hop in link.routes]} if link.routes else {}
    return {"subnets": subnets} if subnets else {}


def _old_route(hop: Hop) -> dict[str, Data]:
    network = ip_network(hop.to)
    return {"network": str(network.network_address), "netmask": str(network.netmask), "gateway": hop.via}
