"""Knows the folder that images are kept in: files named by their SHA-256, and an index that says what they are.

FOLDER/blob/<sha256>      0644, never changed once it has its name
FOLDER/index.json         `format` 1 and `images` by name; the coordinator reads it at every boot (docs/pxe.md)
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import file_digest
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from generator.disk import describe
from generator.errors import LocalError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of the store: `size` in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk image as it is kept (`blob`, packed with `format` zstd) and as it will be on a disk (`raw`)."""

    blob: Blob
    format: str
    raw: Blob


@dataclass(frozen=True, slots=True)
class Image:
    """`kernel` and `initrd` install and run live; an image of another distribution borrows those of `installer`.

    A distribution's own installer has nothing but these two. `made` is in seconds since 1970.
    """

    name: str
    arch: str
    source: str
    made: int
    disk: Disk | None = None
    kernel: Blob | None = None
    initrd: Blob | None = None
    squashfs: Blob | None = None
    installer: str = ""

    @property
    def blobs(self) -> Mapping[str, Blob]:
        """The image's files by what they are."""
        disk = self.disk.blob if self.disk else None
        parts = {"disk": disk, "kernel": self.kernel, "initrd": self.initrd, "squashfs": self.squashfs}
        return {part: blob for part, blob in parts.items() if blob}

    @classmethod
    def parse(cls, tree: dict[str, Any]) -> Self:
        """Reads what the index says of an image. TypeError or KeyError when it is not of our making."""
        disk = tree.pop("disk")
        parts = {part: Blob(**tree.pop(part)) for part in ("kernel", "initrd", "squashfs") if tree[part]}
        packed = Disk(Blob(**disk["blob"]), disk["format"], Blob(**disk["raw"])) if disk else None
        return cls(disk=packed, **{**tree, **parts})


class ImageStore:
    """The images on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def opened(self) -> Iterator[Path]:
        """Holds the store alone and gives a folder for work in progress, on the same file system."""
        with describe(self.folder):
            work = self.folder / "work"
            (self.folder / "blob").mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _lock(handle, self.folder)
                _empty(work)
                work.mkdir(mode=0o700)
                yield work
            finally:
                _empty(work)
                os.close(handle)

    def images(self) -> Mapping[str, Image]:
        """All images by name; none when the store is new."""
        path = self.folder / "index.json"
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return MappingProxyType({})
        except OSError as error:
            raise LocalError.because("the index of images cannot be read", file=str(path)) from error
        return _parse_index(data, str(path))

    def path(self, blob: Blob) -> Path:
        """Where a blob's bytes are."""
        return self.folder / "blob" / blob.sha256

    def take(self, file: Path) -> Blob:
        """Moves a finished file of the work folder into the store under its digest."""
        blob = measure(file)
        file.chmod(0o644)
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
        file.rename(self.path(blob))
        return blob

    def register(self, image: Image) -> None:
        """Makes `image` the one of its name, and drops what no image needs any more. Call it inside `opened`."""
        images = {**self.images(), image.name: image}
        new = self.folder / "work" / "index.json"
        new.write_text(_dump_index(images), encoding="utf-8")
        new.chmod(0o644)
        with new.open("rb") as opened:
            os.fsync(opened.fileno())
        new.rename(self.folder / "index.json")
        needed = {blob.sha256 for known in images.values() for blob in known.blobs.values()}
        for path in (self.folder / "blob").iterdir():
            if path.name not in needed:
                path.unlink()

    def damaged(self, image: Image) -> tuple[str, ...]:
        """The parts of an image whose bytes are not what their names say, or not there."""
        return tuple(part for part, blob in image.blobs.items() if not _holds(self.path(blob), blob))


def _holds(file: Path, blob: Blob) -> bool:
    return file.is_file() and measure(file) == blob


def measure(file: Path) -> Blob:
    """The digest and size of a file."""
    with file.open("rb") as opened:
        digest = file_digest(opened, "sha256").hexdigest()
    return Blob(digest, file.stat().st_size)


def _dump_index(images: Mapping[str, Image]) -> str:
    tree = {name: asdict(image) for name, image in images.items()}
    return json.dumps({"format": FORMAT, "images": tree}, indent=2, sort_keys=True) + "\n"


def _parse_index(data: bytes, file: str) -> Mapping[str, Image]:
    try:
        tree = json.loads(data)
        images = {FORMAT: tree["images"]}[tree["format"]]
        return MappingProxyType({name: Image.parse(entry) for name, entry in images.items()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LocalError.because(
            "this is not an index of images that kubeseed wrote", file=file, hint="name another folder with --store"
        ) from error


def _empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True) if folder.exists() else ():
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    if folder.exists():
        folder.rmdir()


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LocalError.because(
            "another kubeseed is working on these images", file=str(folder), hint="wait until it has finished"
        ) from None
