"""Knows who has to be in a cluster: masters, an odd number of etcd members, workers."""

from collections.abc import Iterator

from generator.check.finding import Finding, warning
from generator.spec.cluster import Cluster
from generator.spec.etcd import EtcdTopology
from generator.spec.load_balancer import LoadBalancerMode
from generator.spec.node import Role


def check_masters(cluster: Cluster) -> Iterator[Finding]:
    """Somebody has to run the control plane."""
    if not cluster.masters:
        yield Finding(
            ("nodes",), "no node has the role master", "give the role to 1 node, or to 3 for high availability"
        )


def check_workers(cluster: Cluster) -> Iterator[Finding]:
    """Without the role worker all nodes keep the taint of a control plane."""
    if not cluster.workers:
        yield warning(
            ("nodes",), "no node has the role worker: ordinary pods find no place", "add role worker to a node"
        )


def check_etcd(cluster: Cluster) -> Iterator[Finding]:
    """etcd's members are there, and their number is odd: an even one tolerates no more failures, and splits."""
    members = len(cluster.etcd_members)
    if cluster.etcd.topology is EtcdTopology.EXTERNAL and members == 0:
        hint = "add etcd to the roles of 1, 3 or 5 nodes (masters may have it), or set etcd.topology: stacked"
        yield Finding(("etcd", "topology"), "etcd is external, but no node has the role etcd", hint)
    if members and members % 2 == 0:
        hint = f"make it {members - 1} or {members + 1}: an even number survives no more failures than one less"
        yield Finding(("nodes",), f"etcd has {members} members, an even number", hint)


def check_stacked_etcd(cluster: Cluster) -> Iterator[Finding]:
    """With stacked etcd the members are the masters, and no one else."""
    if cluster.etcd.topology is not EtcdTopology.STACKED:
        return
    for number, node in enumerate(cluster.nodes):
        if Role.ETCD in node.roles and Role.MASTER not in node.roles:
            hint = "stacked etcd runs on the masters; remove the role, or set etcd.topology: external"
            yield Finding(("nodes", number, "roles"), f"{node.name} has the role etcd but is no master", hint)


def check_repeated_roles(cluster: Cluster) -> Iterator[Finding]:
    """A role is named once."""
    for number, node in enumerate(cluster.nodes):
        if len(set(node.roles)) < len(node.roles):
            yield Finding(("nodes", number, "roles"), f"{node.name} names a role twice", "name each role once")


def check_balancer_roles(cluster: Cluster) -> Iterator[Finding]:
    """Nodes of role lb carry the VIP; in the other modes they would have nothing to do."""
    if cluster.load_balancer.mode is LoadBalancerMode.VIP:
        return
    for number, node in enumerate(cluster.nodes):
        if Role.LB in node.roles:
            hint = "set loadBalancer.mode: vip, or remove the role"
            yield Finding(
                ("nodes", number, "roles"), f"{node.name} has the role lb, but there is no VIP to carry", hint
            )
