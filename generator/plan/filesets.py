"""Knows which files each node fetches: filesets that many nodes share come first, the node's own last."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from generator.plan.firewall import plan_openings
from generator.plan.load_balancer import balances
from generator.spec.cluster import Cluster
from generator.spec.host import Firewall
from generator.spec.node import Node, Role


class Scope(StrEnum):
    """What the nodes that share a fileset have in common."""

    PROGRAMS = "programs"
    RELEASE = "release"
    SETTINGS = "settings"
    KUBERNETES = "kubernetes"
    BALANCER = "balancer"
    FIREWALL = "firewall"
    MASTER = "master"
    FIRST_MASTER = "first-master"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class Fileset:
    """A fileset by its name in the inventory. Whichever node it is rendered for, the same name has the same files."""

    name: str
    scope: Scope


def plan_filesets(cluster: Cluster, node: Node) -> tuple[Fileset, ...]:
    """The node's filesets; a later one wins over an earlier one."""
    return tuple(_filesets(cluster, node))


def _filesets(cluster: Cluster, node: Node) -> Iterator[Fileset]:
    yield Fileset("programs", Scope.PROGRAMS)
    yield Fileset(f"release-{node.os}", Scope.RELEASE)
    yield Fileset(f"settings-{_settings_digest(node)}", Scope.SETTINGS)
    if {Role.MASTER, Role.WORKER} & set(node.roles):
        yield Fileset("kubernetes", Scope.KUBERNETES)
    if balances(cluster, node):
        yield Fileset("balancer", Scope.BALANCER)
    if node.firewall is Firewall.MANAGED:
        yield Fileset(f"firewall-{_digest(plan_openings(cluster, node))}", Scope.FIREWALL)
    if Role.MASTER in node.roles:
        yield Fileset("master", Scope.MASTER)
    if node.name == cluster.first_master.name:
        yield Fileset("first-master", Scope.FIRST_MASTER)
    yield Fileset(f"node-{node.name}", Scope.NODE)


def _settings_digest(node: Node) -> str:
    """Names what nodes may set for themselves and most take from `defaults`."""
    hosts = tuple((address, *names) for address, names in node.hosts.items())
    return _digest((node.ntp, hosts))


def _digest(value: object) -> str:
    return sha256(repr(value).encode()).hexdigest()[:8]
