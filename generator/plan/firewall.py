"""Knows who may reach which port of a node: kubeadm-ha's table of ports by role, VRRP and tunnels."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, collapse_addresses

from generator.plan.etcd import runs_external_member
from generator.plan.load_balancer import API_PORT
from generator.spec.cluster import Cluster
from generator.spec.etcd import EtcdTopology
from generator.spec.load_balancer import LoadBalancerMode
from generator.spec.network import CalicoBackend, FlannelBackend, Plugin
from generator.spec.node import Node, Role
from generator.value import Network


class Who(StrEnum):
    """Whose packets are meant: everybody's, or those of machines and pods of the cluster."""

    ANYBODY = "anybody"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Opening:
    """A port, or a range `first-last`, of tcp or udp; with another protocol `port` is empty. `why` is for people."""

    protocol: str
    port: str
    who: Who
    why: str


@dataclass(frozen=True, slots=True)
class FirewallPlan:
    """All that is let in beside answers, ICMP and DHCP; `networks` are those of the cluster, none inside another."""

    networks: tuple[Network, ...]
    openings: tuple[Opening, ...]


def plan_firewall(cluster: Cluster, node: Node) -> FirewallPlan:
    """The packet filter of a node, the same for all nodes with the same openings."""
    found = {cluster.network.pod_subnet, *(machine.subnet for machine in cluster.nodes)}
    four = collapse_addresses(network for network in found if isinstance(network, IPv4Network))
    six = collapse_addresses(network for network in found if isinstance(network, IPv6Network))
    return FirewallPlan((*four, *six), plan_openings(cluster, node))


def plan_openings(cluster: Cluster, node: Node) -> tuple[Opening, ...]:
    """What is let in to a node."""
    return tuple(_openings(cluster, node))


def _openings(cluster: Cluster, node: Node) -> Iterator[Opening]:
    roles = set(node.roles)
    yield Opening("tcp", "22", Who.ANYBODY, "SSH")
    if Role.MASTER in roles:
        yield Opening("tcp", str(API_PORT), Who.ANYBODY, "kube-apiserver")
    if runs_external_member(cluster, node) or (cluster.etcd.topology is EtcdTopology.STACKED and Role.MASTER in roles):
        yield Opening("tcp", "2379-2380", Who.CLUSTER, "etcd")
    if {Role.MASTER, Role.WORKER} & roles:
        yield from _kubelet(cluster)
        yield from _PLUGINS[cluster.network.plugin](cluster)
    if Role.WORKER in roles and cluster.addons.ingress.enabled:
        yield Opening("tcp", "80", Who.ANYBODY, "ingress controller")
        yield Opening("tcp", "443", Who.ANYBODY, "ingress controller")
    if Role.LB in roles and cluster.load_balancer.mode is LoadBalancerMode.VIP:
        yield Opening("tcp", str(cluster.load_balancer.port), Who.ANYBODY, "load balancer of the API servers")
        yield Opening("vrrp", "", Who.CLUSTER, "keepalived")
    for ports, _, protocol in (wish.partition("/") for wish in node.open_ports):
        yield Opening(protocol, ports, Who.ANYBODY, "of the spec")


def _kubelet(cluster: Cluster) -> Iterator[Opening]:
    ports = str(cluster.kubernetes.node_port_range)
    yield Opening("tcp", "10250", Who.CLUSTER, "kubelet")
    yield Opening("tcp", "10256", Who.ANYBODY, "kube-proxy's health, for load balancers of services")
    yield Opening("tcp", ports, Who.ANYBODY, "NodePort services")
    yield Opening("udp", ports, Who.ANYBODY, "NodePort services")


def _flannel(cluster: Cluster) -> Iterator[Opening]:
    if cluster.network.flannel.backend is FlannelBackend.VXLAN:
        yield Opening("udp", "8472", Who.CLUSTER, "flannel's VXLAN")


def _calico(cluster: Cluster) -> Iterator[Opening]:
    yield Opening("tcp", "5473", Who.CLUSTER, "calico's typha")
    if cluster.network.calico.backend is CalicoBackend.BIRD:
        yield Opening("tcp", "179", Who.CLUSTER, "calico's BGP")
        yield Opening("ipencap", "", Who.CLUSTER, "calico's IP-in-IP")
    if cluster.network.calico.backend is CalicoBackend.VXLAN:
        yield Opening("udp", "4789", Who.CLUSTER, "calico's VXLAN")


def _nothing(cluster: Cluster) -> Iterator[Opening]:
    yield from ()


_PLUGINS = {Plugin.FLANNEL: _flannel, Plugin.CALICO: _calico, Plugin.NONE: _nothing}
