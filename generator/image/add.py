"""Knows how images that others made come into the store: checked against the digest their maker published."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from generator.disk import describe
from generator.errors import LocalError, UsageError
from generator.image.build import Tell, pack_disk
from generator.image.program import capture, run
from generator.image.store import Blob, Disk, Image, ImageStore, measure
from generator.value import Arch

STEPS = ("checking the digests", "converting the disk", "packing the disk")
QCOW2 = b"QFI\xfb"
# The installer keeps the first MiB back until all is verified, so an image has more than that.
SMALLEST = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class File:
    """A file from elsewhere and the SHA-256 that it must have."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to register: a disk that `installer` writes, or kernel and initramfs of a distribution's own installer."""

    name: str
    arch: Arch
    disk: File | None = None
    kernel: File | None = None
    initrd: File | None = None
    installer: str = ""


def add(wanted: Wanted, store: ImageStore, now: int, tell: Tell) -> Image:
    """Registers an image. UsageError when a file is not what its digest says or the installer is not there."""
    tell(STEPS[0])
    for file in (wanted.disk, wanted.kernel, wanted.initrd):
        if file:
            _check(file)
    with store.opened() as work:
        image = Image(wanted.name, wanted.arch.value, _source(wanted), now)
        if wanted.disk:
            borrowed = _borrow(image, wanted, store)
            image = replace(borrowed, disk=_take_disk(wanted.disk, work, store, tell))
        else:
            image = replace(image, kernel=_take(wanted.kernel, work, store), initrd=_take(wanted.initrd, work, store))
        store.register(image)
    return image


def _source(wanted: Wanted) -> str:
    file = wanted.disk or wanted.kernel
    return f"{file.path.name}, sha256 {file.sha256[:12]}" if file else ""


def _check(file: File) -> None:
    with describe(file.path):
        found = measure(file.path)
    if found.sha256 != file.sha256:
        hint = "download it again; the digest is the one that its maker publishes beside it"
        raise UsageError.because(f"its SHA-256 is {found.sha256}, not {file.sha256}", file=str(file.path), hint=hint)


def _borrow(image: Image, wanted: Wanted, store: ImageStore) -> Image:
    """The image with the kernel and initramfs of a built one, which will write it."""
    built = [known for known in store.images().values() if known.squashfs and known.arch == wanted.arch]
    chosen = [known for known in built if wanted.installer in {"", known.name}]
    if not chosen:
        names = ", ".join(known.name for known in built)
        hint = f"choose one with --installer: {names}" if names else "build one first: kubeseed image build debian-12"
        raise UsageError.because(f"no built image of {wanted.arch} can write it", hint=hint)
    installer = chosen[0]
    return replace(image, kernel=installer.kernel, initrd=installer.initrd, installer=installer.name)


def _take(file: File | None, work: Path, store: ImageStore) -> Blob | None:
    if file is None:
        return None
    copy = work / file.sha256
    shutil.copyfile(file.path, copy)
    return store.take(copy)


def _take_disk(file: File, work: Path, store: ImageStore, tell: Tell) -> Disk:
    tell(STEPS[1])
    raw = work / "disk.raw"
    with file.path.open("rb") as opened:
        kind = "qcow2" if opened.read(4) == QCOW2 else "raw"
    if kind == "qcow2":
        _check_alone(file.path)
    run(["qemu-img", "convert", "-q", "-f", kind, "-O", "raw", str(file.path), str(raw)])
    if raw.stat().st_size < SMALLEST:
        raise UsageError.because("this is no disk image: it is too small to boot", file=str(file.path))
    tell(STEPS[2])
    return pack_disk(raw, store)


def _check_alone(disk: Path) -> None:
    """A qcow2 may name another file as its base, which would be read from this machine."""
    about = json.loads(capture(["qemu-img", "info", "--output=json", "-f", "qcow2", str(disk)]))
    if "backing-filename" in about or about.get("format-specific", {}).get("data", {}).get("data-file"):
        raise LocalError.because("the image needs another file", file=str(disk), hint="flatten it: qemu-img convert")
