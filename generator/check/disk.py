"""Knows whether the disks of a machine can be used as the spec says."""

from collections.abc import Iterator

from generator.check.finding import Finding
from generator.spec.cluster import Cluster
from generator.spec.disk import Disk, DiskLayout


def _disks(cluster: Cluster) -> Iterator[tuple[int, Disk]]:
    """Every node's disks, those of `defaults` once, at the first node that has them."""
    seen: set[Disk] = set()
    for number, node in enumerate(cluster.nodes):
        if node.disk not in seen:
            seen.add(node.disk)
            yield number, node.disk


def check_mirror(cluster: Cluster) -> Iterator[Finding]:
    """Layout raid1 needs two disks by name, and no other layout has a use for the second."""
    for number, disk in _disks(cluster):
        path = ("nodes", number, "disk")
        if disk.layout is DiskLayout.RAID1 and not (disk.device and disk.mirror):
            yield Finding(path, "layout raid1 needs two disks", "write both disk.device and disk.mirror")
        if disk.layout is not DiskLayout.RAID1 and disk.mirror:
            hint = "set disk.layout: raid1, or remove mirror"
            yield Finding(path, f"mirror is set, but layout {disk.layout} does not use it", hint)


def check_disks_apart(cluster: Cluster) -> Iterator[Finding]:
    """A disk serves one purpose, and the system's has a name when others have: the first could be one of them."""
    for number, disk in _disks(cluster):
        path = ("nodes", number, "disk")
        named = [name for name in (disk.device, disk.mirror, disk.etcd, disk.containers) if name]
        for name in sorted({name for name in named if named.count(name) > 1}):
            yield Finding(path, f"{name} is used for two purposes", "name each disk once")
        if not disk.device and (disk.etcd or disk.containers):
            message = "the installer's first disk could be one of those that hold data"
            yield Finding(path, message, "write disk.device, the system's own disk")
