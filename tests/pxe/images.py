"""Knows the images that the tests boot machines into: made once by `kubeseed image` and kept in the cache."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.lab.cache import cached
from tests.lab.command import run
from tests.lab.installed import ROOT

NAME = "debian-12"
EPOCH = "1700000000"
# The kernel of virtual machines: a third of the generic one's initramfs, which an emulated machine unpacks slowly.
KERNEL = "linux-image-cloud-amd64"
_SOURCES = ("generator/image", "templates/pxe/image", "templates/pxe/initramfs", "profiles/image", "profiles/os")
MINUTES = 60


def built_images(kubeseed: Path) -> Path:
    """The store with debian-12."""
    return cached("pxe-images", _digest(), lambda folder: _build(kubeseed, folder))


def _build(kubeseed: Path, folder: Path) -> None:
    options: list[str | Path] = ["--kernel", KERNEL, "--epoch", EPOCH, "--store", folder]
    run([kubeseed, "image", "build", NAME, *options], timeout=30 * MINUTES)


def _digest() -> str:
    """Of all that decides what is built, but the packages' versions."""
    found = hashlib.sha256(f"{KERNEL} {EPOCH}".encode())
    for path in sorted(_files()):
        found.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return found.hexdigest()


def _files() -> Iterator[Path]:
    for name in _SOURCES:
        yield from (path for path in (ROOT / name).rglob("*") if path.is_file() and path.suffix != ".pyc")


def copied(images: Path, target: Path) -> Path:
    """A store of its own with the same files, which a test may add to; blobs are shared, so only ever replace them."""
    shutil.copytree(images, target, copy_function=_link)
    return target


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source) if Path(source).parent.name == "blob" else shutil.copy2(source, target)


def add_disk(kubeseed: Path, store: Path, name: str, disk: Path) -> None:
    """`kubeseed image add`; the machine's installer is that of the built image."""
    digest = hashlib.sha256(disk.read_bytes()).hexdigest()
    run([kubeseed, "image", "add", name, disk, "--sha256", digest, "--store", store], timeout=10 * MINUTES)


def disk_of(store: Path, name: str) -> str:
    """The digest of an image's packed disk."""
    index = json.loads((store / "index.json").read_text())
    return str(index["images"][name]["disk"]["blob"]["sha256"])


def damage(store: Path, digest: str, *, keep: float = 1.0) -> None:
    """Replaces a blob: with a byte changed in its middle, or cut after `keep` of its length."""
    blob = store / "blob" / digest
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 0xFF
    blob.unlink()
    blob.write_bytes(data[: int(len(data) * keep)])
