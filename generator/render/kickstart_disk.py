"""Knows kickstart's disks: which are cleared, how they are partitioned, and what only the machine itself can tell."""

from collections.abc import Iterable, Iterator

from generator.plan.disk import DataDisk
from generator.plan.install import SystemDisk
from generator.render.text import kickstart
from generator.spec.disk import DiskLayout

_CHOSEN = "/tmp/kubeseed-disk.ks"  # noqa: S108 - in the installer's memory, where nobody else is
# Sizes in MiB. The root file system takes what is left.
_BOOT, _EFI, _ROOT = 1024, 600, 8192

# Disks that are neither removable nor read-only, nor made of memory, in the kernel's order.
_FIRST_DISK = (
    "disk=$(lsblk -dnpro NAME,TYPE,RM,RO |"
    """ awk '$2 == "disk" && $3 == 0 && $4 == 0 && $1 !~ /zram/ {print $1; exit}')"""
)


def chooses(disk: SystemDisk) -> bool:
    """Whether something about the disks is known on the machine only: which is the first, or its kind of firmware."""
    return not disk.device or disk.layout is DiskLayout.RAID1


def storage_lines(disk: SystemDisk, data: Iterable[DataDisk]) -> Iterator[str]:
    """The commands; with `chooses` an include of what %pre finds out."""
    if chooses(disk):
        yield f"%include {_CHOSEN}"
    else:
        held = tuple(data)
        yield _clear(disk, held)
        yield from _lines(disk, held)


def render_choice(disk: SystemDisk, data: Iterable[DataDisk]) -> str:
    """%pre: finds the disk and the kind of firmware, and writes the commands with what it found."""
    held = tuple(data)
    found = [_FIRST_DISK] if not disk.device else [f"disk={kickstart(disk.device)}"]
    lines = ["%pre --erroronfail", "set -eu", *found, '[ -b "$disk" ]']
    if disk.layout is DiskLayout.RAID1:
        efi, bios = _written(_efi(disk, held), "  "), _written(_bios(disk, held), "  ")
        lines += ["if [ -d /sys/firmware/efi ]; then", *efi, "else", *bios, "fi"]
    else:
        lines += _written((_clear(disk, held),))
    return "\n".join((*lines, *_written(_lines(disk, held)), "%end", "", ""))


def _written(lines: Iterable[str], margin: str = "") -> Iterator[str]:
    """Commands that write the lines; they hold no quotes and no `$` but `$disk`."""
    yield from (f'{margin}echo "{line}" >>{_CHOSEN}' for line in lines)


def _clear(disk: SystemDisk, data: tuple[DataDisk, ...]) -> str:
    return f"clearpart --all --initlabel --drives={_drives(disk, data)}"


def _drives(disk: SystemDisk, data: tuple[DataDisk, ...]) -> str:
    mirror = (_name(disk.mirror),) if disk.layout is DiskLayout.RAID1 else ()
    return ",".join((_system(disk), *mirror, *(_name(other.device) for other in data)))


def _lines(disk: SystemDisk, data: tuple[DataDisk, ...]) -> Iterator[str]:
    yield f"ignoredisk --only-use={_drives(disk, data)}"
    yield f"bootloader --boot-drive={_system(disk)}"
    yield from {DiskLayout.SIMPLE: _simple, DiskLayout.LVM: _lvm, DiskLayout.RAID1: _raid1}[disk.layout](disk)
    for other in data:
        name, label = _name(other.device), other.label
        yield f"part {other.mount} --fstype=ext4 --size=1024 --grow --ondisk={name} --label={label}"


def _simple(disk: SystemDisk) -> Iterator[str]:
    yield "reqpart --add-boot"
    yield f"part / --fstype=xfs --size={_ROOT} --grow --ondisk={_system(disk)}"


def _lvm(disk: SystemDisk) -> Iterator[str]:
    yield "reqpart --add-boot"
    yield f"part pv.1 --size={_ROOT} --grow --ondisk={_system(disk)}"
    yield "volgroup system pv.1"
    yield f"logvol / --vgname=system --name=root --fstype=xfs --size={_ROOT - 512} --grow"


def _raid1(disk: SystemDisk) -> Iterator[str]:
    for number, name in enumerate(_pair(disk), start=1):
        yield f"part raid.1{number} --size={_BOOT} --ondisk={name}"
        yield f"part raid.2{number} --size={_ROOT} --grow --ondisk={name}"
    yield "raid /boot --level=RAID1 --device=boot --fstype=xfs raid.11 raid.12"
    yield "raid / --level=RAID1 --device=root --fstype=xfs raid.21 raid.22"


def _efi(disk: SystemDisk, data: tuple[DataDisk, ...]) -> Iterator[str]:
    """The EFI system partition as a mirror, so that either disk boots alone."""
    yield _clear(disk, data)
    for number, name in enumerate(_pair(disk), start=1):
        yield f"part raid.3{number} --size={_EFI} --ondisk={name}"
    yield "raid /boot/efi --level=RAID1 --device=efi --fstype=efi raid.31 raid.32"


def _bios(disk: SystemDisk, data: tuple[DataDisk, ...]) -> Iterator[str]:
    """GPT would need a BIOS boot partition on each disk, and kickstart can say only one."""
    yield f"{_clear(disk, data)} --disklabel=msdos"


def _pair(disk: SystemDisk) -> tuple[str, str]:
    return _system(disk), _name(disk.mirror)


def _system(disk: SystemDisk) -> str:
    return _name(disk.device) if disk.device else "${disk#/dev/}"


def _name(device: str) -> str:
    return device.removeprefix("/dev/")
