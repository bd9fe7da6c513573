"""Knows which nodes take copies of etcd, and what they are told about it."""

from collections.abc import Mapping

from generator.spec.cluster import Cluster
from generator.spec.etcd import BackupUpload
from generator.spec.node import Node

# Where stage backup puts the certificate that copies are encrypted to.
CERTIFICATE = "backup.crt"


def takes_copies(cluster: Cluster, node: Node) -> bool:
    """Whether an etcd member runs here, whoever runs it."""
    return cluster.runs_etcd(node)


def backup_hours(cluster: Cluster) -> int:
    """Hours after which the coordinator expects another backup; 0 when none is sent to it."""
    backup = cluster.etcd.backup
    return backup.interval_hours if backup.upload is BackupUpload.COORDINATOR else 0


def backup_facts(cluster: Cluster, node: Node) -> Mapping[str, str]:
    """The keys of node.conf (docs/node.md) that concern backups; but for the folder, empty without etcd."""
    backup = cluster.etcd.backup
    facts = {
        "BACKUP_SCHEDULER": backup.scheduler.value,
        "BACKUP_HOUR": str(backup.hour),
        "BACKUP_INTERVAL_HOURS": str(backup.interval_hours),
        "BACKUP_KEEP_DAYS": str(backup.keep_days),
        "BACKUP_UPLOAD": "" if backup.upload is BackupUpload.NONE else backup.upload.value,
        "BACKUP_HOOK": backup.hook or "",
    }
    taken = takes_copies(cluster, node)
    return {"BACKUP_DIR": backup.directory, **{key: value if taken else "" for key, value in facts.items()}}
