"""Knows section `pxe`: booting machines over the network."""

from enum import StrEnum

from pydantic import Field

from generator.spec.field import Flag, Line, Section


class PxeMode(StrEnum):
    """What dnsmasq does."""

    DHCP = "dhcp"
    PROXY = "proxy"


class Pxe(Section):
    """Booting machines over the network."""

    interface: Line | None = Field(None, description="Network interface of the boot server; null is all.")
    mode: PxeMode = Field(PxeMode.PROXY, description="dhcp: hand out addresses. proxy: beside an existing DHCP server.")
    range: Line | None = Field(None, description="First and last address to hand out, with mode dhcp: A,B.")
    enrol_unknown: Flag = Field(False, description="Let unknown machines show themselves to the operator.")
    trust_network: Flag = Field(False, description="Approve pending nodes without comparing fingerprints.")
