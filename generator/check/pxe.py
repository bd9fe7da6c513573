"""Knows whether the machines can boot over the network as the spec says."""

import re
from collections.abc import Iterator

from generator.check.finding import Finding, warning
from generator.source import SpecPath
from generator.spec.cluster import Cluster
from generator.spec.node import Node, Role
from generator.spec.pxe import AddressRange, Deployment, Pxe, PxeMode

_RANGE: SpecPath = ("pxe", "range")


def check_boot_url(cluster: Cluster) -> Iterator[Finding]:
    """Booting machines need a plain HTTP address that iPXE, dnsmasq and a kernel's command line take as it is."""
    url = cluster.coordinator.boot_url
    if cluster.pxe and not url:
        hint = "write where `kubeseed serve` listens for plain HTTP: http://192.168.77.2:8080"
        yield Finding(("coordinator",), "bootUrl is required for section pxe", hint)
    if cluster.pxe and url and not re.fullmatch(r"http://[A-Za-z0-9.-]+(:[0-9]{1,5})?", url):
        yield Finding(("coordinator", "bootUrl"), f"machines cannot boot from {url}", "write http://HOST[:PORT] only")


def check_machines(cluster: Cluster) -> Iterator[Finding]:
    """dnsmasq knows machines by their cards, and PXE is IPv4."""
    if not cluster.pxe:
        return
    for number, node in _booting(cluster):
        if not (node.all_macs or node.product_uuid or node.serial):
            yield Finding(("nodes", number), f"nothing tells the machine of {node.name} from others", "write its mac")
        elif not node.all_macs and not cluster.pxe.enrol_unknown:
            hint = "write its mac; or set pxe.enrolUnknown, so that productUuid or serial can tell it"
            yield Finding(("nodes", number), f"{node.name} has no MAC address, so it gets no answer", hint)
        if node.address.version != 4:
            yield Finding(
                ("nodes", number, "address"), f"{node.name} cannot boot over IPv6", "set pxe.deploy none, use its seed"
            )


def check_range(cluster: Cluster) -> Iterator[Finding]:
    """Addresses to hand out lie in one network of nodes, in order, and belong to no node."""
    if not cluster.pxe or not cluster.pxe.range:
        return
    if cluster.pxe.mode is PxeMode.PROXY:
        yield Finding(_RANGE, "a proxyDHCP server hands out no addresses", "leave range out, or set mode dhcp")
        return
    yield from _range(cluster, cluster.pxe.range)


def _range(cluster: Cluster, addresses: AddressRange) -> Iterator[Finding]:
    first, last = addresses.first, addresses.last
    if not any(first in node.subnet and last in node.subnet for node in cluster.nodes):
        yield Finding(_RANGE, f"{first} to {last} is in no network of a node", "choose addresses near the nodes")
    if int(first) > int(last):
        yield Finding(_RANGE, f"{first} comes after {last}", "write the lower address first")
    vip = cluster.load_balancer.vip
    if vip and int(first) <= int(vip) <= int(last):
        yield Finding(_RANGE, f"{vip} in it is loadBalancer.vip", "leave the VIP out")
    for node in cluster.nodes:
        if int(first) <= int(node.address) <= int(last):
            yield Finding(_RANGE, f"{node.address} in it belongs to {node.name}", "leave the nodes' addresses out")


def check_live(cluster: Cluster) -> Iterator[Finding]:
    """A machine without a disk forgets everything; etcd must not."""
    members = set(cluster.etcd_members)
    for number, node in _booting(cluster):
        if node.pxe.deploy is Deployment.LIVE and node in members:
            hint = "deploy an image, or move etcd to nodes with disks"
            yield Finding(
                ("nodes", number, "pxe", "deploy"), f"{node.name} would keep etcd's data in memory only", hint
            )


def check_trust(cluster: Cluster) -> Iterator[Finding]:
    """Whoever switches off the comparison of fingerprints should know it."""
    if cluster.pxe and cluster.pxe.trust_network:
        workers = [node.name for node in cluster.workers if _trusted(node)]
        message = f"{len(workers)} workers are let in without comparing fingerprints, for {cluster.pxe.trust_window}"
        yield warning(("pxe", "trustNetwork"), message, "use it only where nobody else can reach the boot network")


def _trusted(node: Node) -> bool:
    return set(node.roles) == {Role.WORKER}


def _booting(cluster: Cluster) -> Iterator[tuple[int, Node]]:
    pxe: Pxe | None = cluster.pxe
    if pxe:
        yield from ((n, node) for n, node in enumerate(cluster.nodes) if node.pxe.deploy is not Deployment.NONE)
