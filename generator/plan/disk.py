"""Knows what a machine's disks hold: the system, and data that has a disk of its own."""

from dataclasses import dataclass

from generator.spec.cluster import Cluster
from generator.spec.node import Node, Role


@dataclass(frozen=True, slots=True)
class DataDisk:
    """A whole disk with one file system: `label` at most 12 characters (XFS), `mount` a folder on the node."""

    device: str
    label: str
    mount: str


def plan_data_disks(cluster: Cluster, node: Node) -> tuple[DataDisk, ...]:
    """The data disks that the node's roles have a use for."""
    found = []
    if node.disk.etcd and cluster.runs_etcd(node):
        found.append(DataDisk(node.disk.etcd, "etcd", cluster.etcd.data_dir))
    if node.disk.containers and {Role.MASTER, Role.WORKER} & set(node.roles):
        found.append(DataDisk(node.disk.containers, "containers", cluster.engine.data_directory))
    return tuple(found)
