"""Knows section `etcd`: where the cluster's state lives and how it is saved."""

from enum import StrEnum

from pydantic import Field

from generator.spec.field import AbsolutePath, Integer, Section, Url


class EtcdTopology(StrEnum):
    """kubeadm's two topologies."""

    EXTERNAL = "external"
    STACKED = "stacked"


class EtcdBackup(Section):
    """Daily snapshots, taken by a timer on every etcd member."""

    hour: Integer = Field(3, ge=0, le=23, description="Hour of the day, in the node's time zone.")
    keep_days: Integer = Field(7, ge=1, le=3650, description="Days that a snapshot is kept.")
    directory: AbsolutePath = Field("/var/backups/etcd", description="Folder on the node, mode 0700.")
    upload: Url | None = Field(None, description="Where to copy each snapshot to.")


class Etcd(Section):
    """Where the cluster's state lives."""

    topology: EtcdTopology = Field(
        EtcdTopology.EXTERNAL,
        description="external: a static member on each node of role etcd. stacked: kubeadm runs one on each master.",
    )
    data_dir: AbsolutePath = Field("/var/lib/etcd", description="etcd's data on the node.")
    backup: EtcdBackup = Field(EtcdBackup(), description="Daily snapshots.")
