"""Knows section `pxe`: booting machines over the network, and what each machine then does with its disk."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from generator import value
from generator.spec.field import AbsolutePath, Address, Duration, Flag, Section, matching

LinkName = Annotated[str, matching(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}", "a network interface", "eno1")]
ImageId = Annotated[str, matching(r"[a-z0-9][a-z0-9._-]{0,62}", "the name of an image", "debian-12")]
# The same grammar in the iPXE script and on the kernel's command line: no blank, no quote, nothing that iPXE expands.
KernelArgument = Annotated[
    str, matching(r"[A-Za-z0-9_./:@%+=,~-]{1,120}", "one argument of a kernel", "console=ttyS1,115200")
]


class PxeMode(StrEnum):
    """What dnsmasq does."""

    DHCP = "dhcp"
    PROXY = "proxy"


class Deployment(StrEnum):
    """How a machine that boots over the network becomes a node."""

    IMAGE = "image"
    LIVE = "live"
    INSTALLER = "installer"
    NONE = "none"


class AddressRange(Section):
    """Addresses for machines that have no reservation, with mode dhcp."""

    first: Address = Field(description="The first address to hand out.")
    last: Address = Field(description="The last address to hand out.")


class Pxe(Section):
    """Booting machines over the network."""

    interface: LinkName = Field(
        description="The boot server's interface in the nodes' network; nothing is served elsewhere."
    )
    mode: PxeMode = Field(PxeMode.PROXY, description="dhcp: hand out addresses. proxy: beside an existing DHCP server.")
    range: AddressRange | None = Field(
        None, description="Addresses for machines without a reservation, with mode dhcp; null hands out none."
    )
    lease: Duration = Field(value.Duration("1h"), description="How long an address may be kept.")
    enrol_unknown: Flag = Field(
        False, description="Let machines boot that the spec does not name, so that `kubeseed status` shows them."
    )
    trust_network: Flag = Field(
        False,
        description="Let workers in without comparing fingerprints, on the machine that was installed and within "
        "trustWindow of it. Masters always wait for `kubeseed approve`.",
    )
    trust_window: Duration = Field(value.Duration("1h"), description="How long trustNetwork holds.")
    tftp_root: AbsolutePath = Field(
        "/var/lib/kubeseed/tftp", description="The folder that dnsmasq serves; `kubeseed pxe run` fills it."
    )


class NodePxe(Section):
    """What a machine does when it boots over the network."""

    deploy: Deployment = Field(
        Deployment.IMAGE,
        description="image: write a disk image. live: run in memory, without any disk. installer: run the "
        "distribution's own. none: always boot from the local disk.",
    )
    image: ImageId | None = Field(None, description="Which image (`kubeseed image list`); null is the node's os.")
    kernel_arguments: tuple[KernelArgument, ...] = Field(
        (), description="Further arguments for the kernel that installs or runs live."
    )
