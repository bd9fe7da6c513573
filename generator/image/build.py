"""Knows how an image is built: mmdebstrap makes the root, and from it come disk, kernel, initramfs and squashfs."""

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from generator.errors import LocalError
from generator.image.disk import Parts, assemble, make_efi_system, make_root, root_uuid
from generator.image.program import run
from generator.image.recipe import Recipe
from generator.image.store import Disk, Image, ImageStore, measure
from generator.resource import data_root

# Told of each step before it is taken. mmdebstrap tells its own.
Tell = Callable[[str], None]
STEPS = ("packing the squashfs", "making the root file system", "assembling the disk", "packing the disk")
MMDEBSTRAP_STEPS = 11
# Nobody reads them on a node; copyright files stay, as licences want it.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
_KEPT = ("/usr/share/doc/*/copyright", "/usr/share/locale/locale.alias")
_LEVEL = "9"


def build(recipe: Recipe, name: str, store: ImageStore, tell: Tell) -> Image:
    """Builds the image and registers it as `name`."""
    check_host()
    with store.opened() as work:
        parts = _make_parts(recipe, work, tell)
        disk = _make_disk(parts, work, store, tell)
        image = Image(
            name=name,
            arch=recipe.arch.value,
            source=f"built of {recipe.profile}, recipe {recipe.digest[:12]}",
            made=recipe.epoch,
            disk=disk,
            kernel=store.take(parts.boot / "linux"),
            initrd=store.take(parts.boot / "initrd"),
            squashfs=store.take(parts.squashfs),
        )
        store.register(image)
    return image


def check_host() -> None:
    """LocalError unless this machine can build images at all."""
    if sys.platform != "linux":
        raise LocalError.because("images are built on Linux only", hint="build on the machine that runs kubeseed serve")
    if os.geteuid() != 0:
        raise LocalError.because("only root can build images", hint="run the command with sudo")


def pack_disk(raw: Path, store: ImageStore) -> Disk:
    """Packs a raw disk for the way to the machines and keeps it."""
    size = measure(raw)
    packed = raw.with_suffix(".zst")
    run(["zstd", "--quiet", "--force", "-T0", f"-{_LEVEL}", "--rm", str(raw), "-o", str(packed)])
    return Disk(blob=store.take(packed), format="zstd", raw=size)


def _make_parts(recipe: Recipe, work: Path, tell: Tell) -> Parts:
    boot, tar, squashfs = work / "boot", work / "root.tar", work / "root.squashfs"
    boot.mkdir()
    uuid = root_uuid(recipe.digest)
    customise = str(data_root() / "templates" / "pxe" / "image" / "customise")
    hook = f'sh {shlex.quote(customise)} "$1" {shlex.join([str(uuid), recipe.kernel_arguments, str(boot)])}'
    clock = {"SOURCE_DATE_EPOCH": str(recipe.epoch)}
    run(bootstrap_command(recipe, hook, tar), environment=clock, heard=lambda line: _tell_step(line, tell))
    tell(STEPS[0])
    pack = ["-quiet", "-no-progress", "-comp", "zstd", "-Xcompression-level", _LEVEL, "-root-mode", "0755"]
    run(["mksquashfs", "-", str(squashfs), "-tar", *pack], environment=clock, stdin=tar)
    content = tar.stat().st_size
    tar.unlink()
    return Parts(squashfs, content, boot, recipe.arch, recipe.epoch, uuid)


def _make_disk(parts: Parts, work: Path, store: ImageStore, tell: Tell) -> Disk:
    tell(STEPS[1])
    root = make_root(parts, work)
    tell(STEPS[2])
    efi_system = make_efi_system(parts, work)
    disk = work / "disk.raw"
    assemble(parts, root, efi_system, disk)
    tell(STEPS[3])
    return pack_disk(disk, store)


def bootstrap_command(recipe: Recipe, hook: str, tar: Path) -> Sequence[str]:
    """mmdebstrap(1)'s whole command line."""
    left_out = [f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT]
    kept = [f"--dpkgopt=path-include={path}" for path in _KEPT]
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=tar",
        f"--architectures={recipe.arch}",
        f"--components={','.join(recipe.components)}",
        f"--include={','.join(recipe.packages)}",
        *left_out,
        *kept,
        f"--customize-hook={hook}",
        recipe.suite,
        str(tar),
        *recipe.mirrors,
    ]


def _tell_step(line: str, tell: Tell) -> None:
    """mmdebstrap says `I: what it does now`; the rest is apt's and dpkg's."""
    if line.startswith("I: "):
        tell(line.removeprefix("I: ").rstrip("."))
