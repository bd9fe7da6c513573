"""Knows the boot assets: the index that `kubeseed image` writes, and the files it names by their SHA-256."""

import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from http_server.errors import ApiError
from http_server.inventory import Digest, Word

# iPXE's binaries for UEFI's HTTP boot; the same files that dnsmasq serves over TFTP.
BOOT_PROGRAMS = frozenset({"undionly.kpxe", "snponly.efi", "ipxe.efi", "ipxe-arm64.efi"})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Blob(_Strict):
    """A file of the store; `size` in bytes."""

    sha256: Digest
    size: int = Field(ge=1)


class Disk(_Strict):
    """A disk image as it is kept, and as it will be on a disk."""

    blob: Blob
    format: Literal["zstd", "raw"]
    raw: Blob


class Image(_Strict):
    """What a machine can be booted into."""

    name: Word
    arch: Literal["amd64", "arm64"]
    source: str
    made: int
    installer: str
    disk: Disk | None
    kernel: Blob | None
    initrd: Blob | None
    squashfs: Blob | None


class _Index(_Strict):
    format: Literal[1]
    images: Annotated[dict[Word, Image], Field()]


class ImageIndex:
    """The images of a folder, read again when the index changes. A folder without one holds no images."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: tuple[int, int, int] | None = None
        self._images: Mapping[str, Image] = MappingProxyType({})

    def images(self) -> Mapping[str, Image]:
        """All images by name. ApiError 503 while the index cannot be understood: nothing is booted on a guess."""
        path = self.folder / "index.json"
        try:
            found = path.stat()
        except OSError:
            return MappingProxyType({})
        signature = (found.st_ino, found.st_mtime_ns, found.st_size)
        if signature != self._seen:
            self._images = _load(path)
            self._seen = signature
        return self._images

    def path(self, digest: str) -> Path:
        """Where a blob of some image is; 404 for everything that no image names."""
        known = {blob.sha256 for image in self.images().values() for blob in _blobs(image)}
        if digest not in known:
            raise ApiError(404, "not-found", "no such asset")
        return self.folder / "blob" / digest


def _blobs(image: Image) -> tuple[Blob, ...]:
    disk = image.disk.blob if image.disk else None
    return tuple(blob for blob in (disk, image.kernel, image.initrd, image.squashfs) if blob)


def _load(path: Path) -> Mapping[str, Image]:
    try:
        return MappingProxyType(_Index.model_validate_json(path.read_bytes()).images)
    except (OSError, ValidationError) as error:
        cause = f"{path} is not an index that kubeseed image wrote: {type(error).__name__}"
        raise ApiError(503, "no-index", "the index of images cannot be read", cause=cause, retry_after=5) from None


def plain_file(path: Path) -> Path:
    """The path of a regular file that is no link; 404 for anything else."""
    try:
        found = path.lstat()
    except OSError as error:
        raise ApiError(404, "not-found", "no such file", cause=str(error.strerror)) from None
    if not stat.S_ISREG(found.st_mode):
        raise ApiError(404, "not-found", "no such file")
    return path
