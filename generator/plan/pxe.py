"""Knows how the machines of a cluster boot over the network: what dnsmasq is told, and what each machine then runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

from generator.profile import Installer
from generator.spec.cluster import Cluster
from generator.spec.node import Node
from generator.spec.pxe import AddressRange, Deployment, Pxe, PxeMode
from generator.value import Arch

# Names of the architecture tags in templates/pxe/dnsmasq.conf.j2, and the iPXE that each of them is given.
BIOS_IPXE = "undionly.kpxe"
UEFI_IPXE = {Arch.AMD64: "snponly.efi", Arch.ARM64: "ipxe-arm64.efi"}
UEFI_TAGS = {Arch.AMD64: "x64", Arch.ARM64: "arm64"}
# PXE client system architectures by the names that dnsmasq(8) gives them in pxe-service.
PXE_NAMES = {Arch.AMD64: ("X86-64_EFI", "BC_EFI"), Arch.ARM64: ("ARM64_EFI",)}
# What makes each installer fetch the node's file and ask nobody. Where it finds itself is in its kernelArguments.
_ASKS = {
    Installer.PRESEED: (
        "auto=true",
        "priority=critical",
        "interface=auto",
        "hostname={node}",
        "url={seed}/preseed.cfg",
    ),
    Installer.KICKSTART: ("ip=dhcp", "inst.ks={seed}/kickstart.cfg"),
    Installer.AUTOINSTALL: ("ip=dhcp", "autoinstall", "ds=nocloud-net;s={seed}/autoinstall/"),
}


@dataclass(frozen=True, slots=True)
class Subnet:
    """A network that machines boot in, and what its machines are told of it."""

    network: IPv4Network
    gateway: str
    nameservers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reservation:
    """A known machine: the cards of node `name`, and its address where dnsmasq hands out addresses."""

    name: str
    macs: tuple[str, ...]
    address: str


@dataclass(frozen=True, slots=True)
class BootServer:
    """All that dnsmasq is told. `lease` in seconds."""

    cluster: str
    boot_url: str
    interface: str
    mode: PxeMode
    tftp_root: str
    subnets: tuple[Subnet, ...]
    reservations: tuple[Reservation, ...]
    range: AddressRange | None
    lease: int
    unknown: bool


@dataclass(frozen=True, slots=True)
class NodeBoot:
    """What one machine runs. `arguments` is the kernel's command line without what only the coordinator knows."""

    node: str
    deploy: Deployment
    image: str
    arguments: tuple[str, ...]


def plan_boot_server(cluster: Cluster, pxe: Pxe) -> BootServer:
    """The boot server of a checked cluster that has a section `pxe`."""
    return BootServer(
        cluster=cluster.metadata.name,
        boot_url=boot_url(cluster),
        interface=pxe.interface,
        mode=pxe.mode,
        tftp_root=pxe.tftp_root,
        subnets=tuple(_subnets(cluster)),
        reservations=tuple(_reservation(node, pxe.mode) for node in cluster.nodes if node.all_macs),
        range=pxe.range,
        lease=int(pxe.lease.seconds),
        unknown=pxe.enrol_unknown,
    )


def plan_node_boot(cluster: Cluster, node: Node, installer: Installer) -> NodeBoot:
    """What the machine of a node does when it boots over the network; `installer` is its distribution's own."""
    settings = node.pxe
    words = [*_order(cluster, node), *settings.kernel_arguments]
    if settings.deploy is Deployment.INSTALLER:
        words += [
            word.format(node=node.name, seed=f"{boot_url(cluster)}/seed/{node.name}") for word in _ASKS[installer]
        ]
    return NodeBoot(node.name, settings.deploy, image_of(node), tuple(words))


def image_of(node: Node) -> str:
    """The name of the image that the node gets; empty when it gets none."""
    return "" if node.pxe.deploy is Deployment.NONE else node.pxe.image or node.os


def trust_seconds(cluster: Cluster) -> int:
    """For how long after its installation a worker is let in without an operator's word; 0 is never."""
    pxe = cluster.pxe
    return int(pxe.trust_window.seconds) if pxe and pxe.trust_network else 0


def boot_url(cluster: Cluster) -> str:
    """Where booting machines find the coordinator; a checked cluster with a section `pxe` has it."""
    return (cluster.coordinator.boot_url or "").rstrip("/")


def _subnets(cluster: Cluster) -> Iterator[Subnet]:
    """Every network once, in the order of the spec; the first node of a network speaks for it."""
    seen: set[IPv4Network] = set()
    for node in cluster.nodes:
        network = node.subnet
        if isinstance(network, IPv4Network) and network not in seen:
            seen.add(network)
            settings = node.network
            nameservers = tuple(str(address) for address in settings.nameservers if address.version == 4)
            yield Subnet(network, str(settings.gateway or ""), nameservers)


def _reservation(node: Node, mode: PxeMode) -> Reservation:
    return Reservation(node.name, node.all_macs, str(node.address) if mode is PxeMode.DHCP else "")


def _order(cluster: Cluster, node: Node) -> Iterator[str]:
    """The part of the order (docs/pxe.md) that the spec decides."""
    yield "initrd=initrd"
    if node.pxe.deploy in {Deployment.IMAGE, Deployment.LIVE}:
        yield "boot=kubeseed"
        yield f"kubeseed.mode={'install' if node.pxe.deploy is Deployment.IMAGE else 'live'}"
        yield f"kubeseed.disk={node.disk.device or 'auto'}"
    yield f"kubeseed.server={boot_url(cluster)}"
    yield f"kubeseed.node={node.name}"
