"""Knows cloud-init's network configuration, version 2, as all its renderers take it."""

from functools import lru_cache

from generator.plan.seed import Network
from generator.render.dump import Data, dump_yaml

_DEFAULT_ROUTE = {4: "0.0.0.0/0", 6: "::/0"}  # `default` is refused by cloud-init before 23.1


@lru_cache(maxsize=2)  # the sealed and the public seed have the same
def render_network_config(network: Network) -> bytes:
    """One card, found by its MAC address. Only cloud-init 19.4 takes the key for the card's name."""
    card = {
        "match": _match(network),
        **(_dynamic(network) if network.dhcp else _static(network)),
        **_resolvers(network),
    }
    return dump_yaml({"version": 2, "ethernets": {"eth0": card}}).encode()


def _match(network: Network) -> dict[str, Data]:
    return {"macaddress": network.mac} if network.mac else {"name": "e*"}


def _dynamic(network: Network) -> dict[str, Data]:
    # The address belongs to the card: the installer, iPXE and the system must be the same client to the DHCP server.
    return {"dhcp4": True, "dhcp-identifier": "mac"} if network.version == 4 else {"dhcp6": True}


def _static(network: Network) -> dict[str, Data]:
    routes: list[Data] = [{"to": _DEFAULT_ROUTE[network.version], "via": network.gateway}] if network.gateway else []
    return {"addresses": [network.address], **({"routes": routes} if routes else {})}


def _resolvers(network: Network) -> dict[str, Data]:
    return {"nameservers": {"addresses": network.nameservers}} if network.nameservers else {}
