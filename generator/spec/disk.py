"""Knows a machine's disks: how an installer partitions them, and which hold data of their own."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from generator.spec.field import Section, matching

DiskDevice = Annotated[
    str, matching(r"/dev/([A-Za-z0-9_.:+-]+/)*[A-Za-z0-9_.:+-]+", "a disk", "/dev/sda or /dev/disk/by-id/wwn-0x5000c5")
]


class DiskLayout(StrEnum):
    """How the installer partitions the system's disk."""

    SIMPLE = "simple"
    LVM = "lvm"
    RAID1 = "raid1"


class Disk(Section):
    """The machine's disks. Installers partition the system's; images bring their own partitions for it."""

    device: DiskDevice | None = Field(
        None,
        description="The system's disk, like /dev/sda or /dev/disk/by-id/...; null is the installer's first disk.",
    )
    layout: DiskLayout = Field(
        DiskLayout.SIMPLE,
        description="simple: boot partitions and one root file system. lvm: the root file system in a volume group. "
        "raid1: everything twice, on `device` and `mirror` (with kickstart and a BIOS at most 2 TiB).",
    )
    mirror: DiskDevice | None = Field(None, description="The second disk, with layout raid1.")
    etcd: DiskDevice | None = Field(
        None, description="A disk of its own for etcd's data, on nodes that hold some; null keeps it on the system's."
    )
    containers: DiskDevice | None = Field(
        None, description="A disk of its own for images and containers (`engine.dataDir`), on masters and workers."
    )
