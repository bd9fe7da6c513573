"""Knows partman's recipes (debian-installer, doc/devel/partman-auto-recipe.txt): GPT, without swap, BIOS and UEFI."""

from collections.abc import Iterator

from generator.plan.install import SystemDisk
from generator.spec.disk import DiskLayout

# Smallest size in MB, priority, largest size in MB (-1: all that is left), type.
_BIOS = "1 1 1 free $iflabel{ gpt } $reusemethod{ } method{ biosgrub }"
_EFI = "538 538 1075 free $iflabel{ gpt } $reusemethod{ } method{ efi } format{ }"
_FORMAT = "method{ format } format{ } use_filesystem{ } filesystem{ ext4 }"


def storage_lines(disk: SystemDisk) -> Iterator[str]:
    """partman's questions. Without a device the first disk is found before partman begins."""
    if disk.device:
        yield f"partman-auto/disk string {boot_disks(disk)}"
    else:
        first = 'debconf-set partman-auto/disk "$(list-devices disk | head -n 1)"'
        yield f"partman/early_command string {first}"
    methods = {DiskLayout.SIMPLE: "regular", DiskLayout.LVM: "lvm", DiskLayout.RAID1: "raid"}
    yield f"partman-auto/method string {methods[disk.layout]}"
    yield "partman-partitioning/choose_label select gpt"
    yield "partman/default_label string gpt"
    yield from {DiskLayout.SIMPLE: _simple, DiskLayout.LVM: _lvm, DiskLayout.RAID1: _raid1}[disk.layout](disk)


def boot_disks(disk: SystemDisk) -> str:
    """Where GRUB goes: on each disk that the system boots from; `default` lets the installer say which is first."""
    mirror = (disk.mirror,) if disk.layout is DiskLayout.RAID1 else ()
    return " ".join((disk.device, *mirror)) if disk.device else "default"


def _simple(disk: SystemDisk) -> Iterator[str]:
    yield _recipe(_BIOS, _EFI, f"4096 8192 -1 ext4 {_FORMAT} mountpoint{{ / }}")


def _lvm(disk: SystemDisk) -> Iterator[str]:
    yield "partman-auto-lvm/new_vg_name string system"
    yield "partman-auto-lvm/guided_size string max"
    boot = f"512 1024 1024 ext4 $defaultignore{{ }} {_FORMAT} mountpoint{{ /boot }}"
    root = f"4096 8192 -1 ext4 $lvmok{{ }} lv_name{{ root }} {_FORMAT} mountpoint{{ / }}"
    yield _recipe(_BIOS, _EFI, boot, root)


def _raid1(disk: SystemDisk) -> Iterator[str]:
    """The EFI system partition is no RAID for partman: it is there on both disks, and GRUB is put on both."""
    member = "$primary{ } method{ raid } raidid=1"
    yield _recipe(_BIOS, _EFI, f"4096 8192 -1 raid {member}")
    yield "partman-auto-raid/recipe string 1 2 0 ext4 / raidid=1 ."


def _recipe(*partitions: str) -> str:
    return f"partman-auto/expert_recipe string kubeseed :: {' . '.join(partitions)} ."
