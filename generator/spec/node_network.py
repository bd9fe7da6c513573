"""Knows a machine's own network: the cards, bonds and VLANs that carry its addresses."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, Strict

from generator.spec.field import Address, DnsName, Flag, Integer, Interface, MacAddress, Network, Section

Mtu = Annotated[int, Strict(), Field(ge=576, le=65535)]
VlanId = Annotated[int, Strict(), Field(ge=1, le=4094)]


class BondMode(StrEnum):
    """Linux's bonding modes that need no further parameter (Documentation/networking/bonding.rst)."""

    ACTIVE_BACKUP = "active-backup"
    LACP = "802.3ad"
    BALANCE_XOR = "balance-xor"
    BALANCE_RR = "balance-rr"
    BALANCE_TLB = "balance-tlb"
    BALANCE_ALB = "balance-alb"


class HashPolicy(StrEnum):
    """How a bond picks the card of a packet (xmit_hash_policy)."""

    LAYER2 = "layer2"
    LAYER2_3 = "layer2+3"
    LAYER3_4 = "layer3+4"


class Bond(Section):
    """All cards of `macs` as one."""

    mode: BondMode = Field(
        BondMode.ACTIVE_BACKUP,
        description="active-backup works with every switch; 802.3ad (LACP) and the balance modes need its cooperation.",
    )
    hash_policy: HashPolicy = Field(
        HashPolicy.LAYER2_3, description="Which packets keep together, with 802.3ad and balance-xor."
    )
    monitor_milliseconds: Integer = Field(100, ge=10, le=10000, description="How often the cards' links are looked at.")

    @property
    def hashes(self) -> bool:
        """Whether the mode heeds `hashPolicy`."""
        return self.mode in {BondMode.LACP, BondMode.BALANCE_XOR}


class Route(Section):
    """A route beside the default one."""

    to: Network = Field(description="The network that is reached.")
    via: Address = Field(description="The router, a neighbour on this link.")


class Card(Section):
    """A further network card, matched by its MAC address. It has no default route."""

    mac: MacAddress = Field(description="The card's MAC address.")
    dhcp: Flag = Field(False, description="Take an address from DHCP.")
    addresses: tuple[Interface, ...] = Field((), description="Addresses with their prefix: 10.20.0.11/24.")
    vlan: VlanId | None = Field(None, description="The VLAN that the addresses are in, tagged; null is untagged.")
    mtu: Mtu | None = Field(None, description="Largest packet in bytes; null keeps the driver's.")
    routes: tuple[Route, ...] = Field((), description="Networks that are reached through this card.")


class NodeNetwork(Section):
    """The node's own network."""

    dhcp: Flag = Field(
        False,
        description="Take the address from DHCP; the node's `address` must then be what the DHCP server hands out.",
    )
    gateway: Address | None = Field(None, description="Default gateway; null is none.")
    nameservers: tuple[Address, ...] = Field((), description="DNS resolvers.")
    search_domains: tuple[DnsName, ...] = Field((), description="Domains in which short names are looked up.")
    prefix: Integer = Field(24, ge=1, le=128, description="Prefix length of the node's network.")
    addresses: tuple[Interface, ...] = Field(
        (), description="Further addresses beside `address`, with their prefix: fd00:77::11/64."
    )
    mtu: Mtu | None = Field(None, description="Largest packet in bytes; null keeps the driver's.")
    vlan: VlanId | None = Field(None, description="The VLAN that `address` is in, tagged; null is untagged.")
    bond: Bond | None = Field(None, description="Join all cards of the node's `macs` into one; null uses the first.")
    routes: tuple[Route, ...] = Field((), description="Routes beside the default one.")
    cards: tuple[Card, ...] = Field((), description="Further network cards, in networks of their own.")
