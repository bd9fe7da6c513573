"""Knows how a root file system becomes a disk that boots with BIOS and UEFI: the same bytes from the same input."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

from generator.image.boot_sector import SECTOR, link_boot_code
from generator.image.program import run
from generator.value import Arch

MIB = 1024 * 1024
NAMESPACE = UUID("6f2d3a1e-6f0c-5d53-9a0e-1f6a2b1d7c55")
# Discoverable partitions: BIOS boot (GRUB's manual), EFI system (UEFI 2.10, 5.3.3), root (UAPI.2).
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
EFI_SYSTEM = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
ROOT = {Arch.AMD64: "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709", Arch.ARM64: "B921B045-1DF0-41C3-AF44-4C6F280D3FAE"}
# In MiB. The root partition is the last one on the disk, so that it can grow.
BIOS_START, BIOS_SIZE = 1, 1
EFI_START, EFI_SIZE = 2, 64
ROOT_START = EFI_START + EFI_SIZE
GPT_COPY = 1
# Without these the GRUB of Debian 11 and 12 cannot read the file system.
_OLD_FEATURES = "^metadata_csum_seed,^orphan_file"


@dataclass(frozen=True, slots=True)
class Parts:
    """What a disk is made of: the root as a squashfs, its size unpacked, and the folder that `customise` filled."""

    squashfs: Path
    content: int
    boot: Path
    arch: Arch
    epoch: int
    root_uuid: UUID


def root_uuid(recipe_digest: str) -> UUID:
    """The root file system's UUID: fixed before it exists, because its own fstab names it."""
    return uuid5(NAMESPACE, f"{recipe_digest}/root")


def make_root(parts: Parts, work: Path) -> Path:
    """The ext4 file system with the squashfs's content and some room.

    It is copied from the mounted squashfs, whose folders are sorted and whose files have no other time than mtime:
    mkfs.ext4 -d alone is not reproducible.
    """
    mounted, image = work / "mounted", work / "root.ext4"
    mounted.mkdir()
    copy = 'mount -t squashfs -o loop,ro "$1" "$2" && shift 2 && exec "$@"'
    mount = ["unshare", "--mount", "--propagation", "private", "sh", "-c", copy, "sh", str(parts.squashfs)]
    fixed = ["-U", str(parts.root_uuid), "-E", f"hash_seed={parts.root_uuid}", "-O", _OLD_FEATURES, "-m", "1"]
    make = ["mkfs.ext4", "-q", "-F", "-L", "root", *fixed, "-d", str(mounted), str(image)]
    run([*mount, str(mounted), *make, f"{_root_size(parts.content)}M"], environment=_clock(parts.epoch))
    return image


def make_efi_system(parts: Parts, work: Path) -> Path:
    """The FAT file system that UEFI reads, without mounting anything."""
    image = work / "esp.fat"
    with image.open("wb") as file:
        file.truncate(EFI_SIZE * MIB)
    volume = str(uuid5(parts.root_uuid, "esp"))[:8]
    run(["mkfs.vfat", "-F", "32", "-s", "1", "-n", "ESP", "-i", volume, "--invariant", str(image)])
    tree = parts.boot / "esp"
    paths = sorted(tree.rglob("*"), key=lambda path: path.relative_to(tree).parts)
    for path in paths:
        os.utime(path, (parts.epoch, parts.epoch))
        there = f"::/{path.relative_to(tree)}"
        order = ["mmd", "-i", str(image)] if path.is_dir() else ["mcopy", "-m", "-i", str(image), str(path)]
        run([*order, there], environment=_clock(parts.epoch))
    return image


def assemble(parts: Parts, root: Path, efi_system: Path, disk: Path) -> None:
    """The whole disk as a sparse raw file."""
    size = ROOT_START * MIB + root.stat().st_size + GPT_COPY * MIB
    with disk.open("wb") as file:
        file.truncate(size)
    run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(disk)], text=_table(parts, root.stat().st_size))
    with disk.open("r+b") as file:
        _copy(efi_system, file.fileno(), EFI_START * MIB)
        _copy(root, file.fileno(), ROOT_START * MIB)
        if (parts.boot / "core.img").exists():
            _install_bios(parts.boot, file.fileno())


def _install_bios(boot: Path, disk: int) -> None:
    sector = BIOS_START * MIB // SECTOR
    code, core = link_boot_code((boot / "boot.img").read_bytes(), (boot / "core.img").read_bytes(), sector)
    os.pwrite(disk, code, 0)
    os.pwrite(disk, core, sector * SECTOR)


def _table(parts: Parts, root_size: int) -> str:
    """sfdisk(8)'s script; partition numbers as in Debian's cloud images."""
    entries = {
        14: (BIOS_START, BIOS_SIZE, BIOS_BOOT, "bios"),
        15: (EFI_START, EFI_SIZE, EFI_SYSTEM, "esp"),
        1: (ROOT_START, root_size // MIB, ROOT[parts.arch], "root"),
    }
    lines = [
        f"d{number} : start={start}MiB, size={size}MiB, type={kind}, name={name}, uuid={uuid5(parts.root_uuid, name)}"
        for number, (start, size, kind, name) in entries.items()
    ]
    return "\n".join(["label: gpt", f"label-id: {uuid5(parts.root_uuid, 'disk')}", *lines, ""])


def _copy(source: Path, target: int, offset: int) -> None:
    """Copies what is not zero, so that the disk stays sparse."""
    with source.open("rb") as file:
        while block := file.read(MIB):
            if block.count(0) != len(block):
                os.pwrite(target, block, offset)
            offset += len(block)


def _root_size(content: int) -> int:
    """MiB for so many bytes of files: ext4's own overhead, and room for a first boot without growing."""
    return content * 11 // 10 // MIB + 96


def _clock(epoch: int) -> Mapping[str, str]:
    """What e2fsprogs, mtools and squashfs-tools take instead of the present (reproducible-builds.org)."""
    return {"SOURCE_DATE_EPOCH": str(epoch), "E2FSPROGS_FAKE_TIME": str(epoch)}
