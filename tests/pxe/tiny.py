"""Knows the smallest disk that boots with BIOS and UEFI: GRUB alone, which says so on the serial line and stops."""

from pathlib import Path
from random import Random
from uuid import uuid5

from generator.image.disk import MIB, NAMESPACE, Parts, assemble, make_efi_system, make_root
from generator.value import Arch
from tests.lab.command import run

WORDS = "THIS IS THE LOCAL DISK"
EPOCH = 1_700_000_000
_CONFIGURATION = f"serial --unit=0 --speed=115200\nterminal_output serial\necho '{WORDS}'\nsleep 600\n"


def make_disk(folder: Path, padding: int = 0, seed: int = 1) -> Path:
    """The disk, assembled by what `kubeseed image build` uses; `padding` MiB of its root cannot be packed."""
    folder.mkdir()
    boot = folder / "boot"
    (boot / "esp" / "EFI" / "BOOT").mkdir(parents=True)
    configuration = folder / "grub.cfg"
    configuration.write_text(_CONFIGURATION)
    common: list[str | Path] = ["-c", configuration, "serial", "terminal", "echo", "sleep", "part_gpt", "normal"]
    efi = boot / "esp" / "EFI" / "BOOT" / "BOOTX64.EFI"
    run(["grub-mkimage", "-O", "x86_64-efi", "-p", "/", "-o", efi, *common, "fat"])
    run(["grub-mkimage", "-O", "i386-pc", "-p", "/", "-o", boot / "core.img", *common, "biosdisk"])
    (boot / "boot.img").write_bytes(Path("/usr/lib/grub/i386-pc/boot.img").read_bytes())
    squashfs = _squash(folder, Random(seed).randbytes(padding * MIB))
    parts = Parts(squashfs, 4096 + padding * MIB, boot, Arch.AMD64, EPOCH, uuid5(NAMESPACE, "tiny"))
    disk = folder / "disk.raw"
    assemble(parts, make_root(parts, folder), make_efi_system(parts, folder), disk)
    return disk


def _squash(folder: Path, padding: bytes) -> Path:
    root = folder / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "os-release").write_text("ID=tiny\n")
    (root / "padding").write_bytes(padding)
    squashfs = folder / "root.squashfs"
    run(["mksquashfs", root, squashfs, "-quiet", "-no-progress", "-all-time", str(EPOCH), "-all-root"])
    return squashfs
