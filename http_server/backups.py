"""Knows the folder of backups: content by its digest, and each backup as a folder that can be restored as it is.

A backup's files are hard links to `blobs/<sha256>`; a blob that nothing else links to belongs to no backup (any more).
"""

import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from http_server.manifest import File, Manifest, ManifestError, parse_manifest
from http_server.private_file import FILE, FOLDER, create_private, replace_private, sync_folder

MANIFEST = "manifest.json"
CHUNK = 1 << 20
# The coordinator's own store must never meet a full disk.
RESERVE = 512 << 20
LOOK_EVERY = 16 << 20
UNUSED_SECONDS = 86400.0
# One backup of each of the latest so many hours, days, weeks and months.
HOUR, DAY = 3600, 86400
PERIODS = ((HOUR, 24), (DAY, 7), (7 * DAY, 4), (30 * DAY, 6))
LEAST = 3


class DamagedError(Exception):
    """Bytes that are not what they should be; `str` says which and why."""


class NoRoomError(Exception):
    """The disk is too full to take more."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup as it is kept: `received` is this machine's time of its arrival, in seconds."""

    folder: Path
    received: float
    manifest: Manifest

    @property
    def taken(self) -> float:
        """When it was taken, by the node's clock; never after its arrival."""
        return min(self.manifest.seconds, self.received)


@dataclass(slots=True)
class Incoming:
    """Content on its way in. It has no name that counts until `keep`."""

    path: Path
    file: BinaryIO
    blobs: Path
    _hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _size: int = 0

    def write(self, data: bytes) -> None:
        """Appends; NoRoomError before the disk is full."""
        if self._size // LOOK_EVERY != (self._size + len(data)) // LOOK_EVERY:
            check_room(self.blobs)
        self.file.write(data)
        self._hash.update(data)
        self._size += len(data)

    def keep(self, digest: str) -> None:
        """Gives the content its name once it has been read back from the disk. DamagedError when it is another one."""
        if self._hash.hexdigest() != digest:
            raise DamagedError("other bytes arrived than were announced")
        self.file.flush()
        os.fsync(self.file.fileno())
        os.posix_fadvise(self.file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if digest_of(self.path) != digest:
            raise DamagedError("the disk gives other bytes back than were written")
        self.path.replace(self.blobs / digest)
        sync_folder(self.blobs)

    def discard(self) -> None:
        """Forgets what was not kept."""
        self.file.close()
        self.path.unlink(missing_ok=True)


class Backups:
    """The backups of one cluster below a private folder. Whoever changes it holds the coordinator's lock."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._copies = root / "copies"
        self._wanted = root / "wanted"

    def prepare(self) -> None:
        """Makes the folders, and sweeps up what a power cut left."""
        for folder in (self._blobs.parent, self._blobs, self._copies):
            folder.mkdir(FOLDER, exist_ok=True)
        for left in self._blobs.glob(".in-*"):
            left.unlink()
        for left in self._copies.glob(".*"):
            shutil.rmtree(left)

    def receive(self, name: str) -> Incoming:
        """A place for new content; `name` is unique among those on their way."""
        check_room(self._blobs)
        path = self._blobs / f".in-{name}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE)
        return Incoming(path, os.fdopen(descriptor, "wb"), self._blobs)

    def missing(self, manifest: Manifest) -> tuple[File, ...]:
        """The files of a manifest whose content is not here."""
        return tuple(file for file in manifest.files if not _has_size(self._blobs / file.sha256, file.bytes))

    def add(self, manifest: Manifest, data: bytes) -> None:
        """Makes a backup of contents that are here; again is the same as once. DamagedError when its id is taken."""
        folder, new = self._copies / manifest.id, self._copies / f".{manifest.id}"
        if folder.exists():
            if (folder / MANIFEST).read_bytes() != data:
                raise DamagedError("another backup has this id")
            return
        for file in manifest.files:
            check_snapshot(self._blobs / file.sha256, file)
        new.mkdir(FOLDER)
        for file in manifest.files:
            os.link(self._blobs / file.sha256, new / file.name)
        create_private(new / MANIFEST, data)
        new.rename(folder)
        sync_folder(self._copies)

    def all(self) -> tuple[Backup, ...]:
        """Every backup, newest first by id. A folder whose manifest is not one is left out: `verify` tells of it."""
        return tuple(self._read())

    def ids(self) -> tuple[str, ...]:
        """The names of all folders, newest first."""
        found = self._copies.iterdir() if self._copies.is_dir() else ()
        return tuple(sorted((folder.name for folder in found if not folder.name.startswith(".")), reverse=True))

    def _read(self) -> Iterator[Backup]:
        for name in self.ids():
            path = self._copies / name / MANIFEST
            try:
                yield Backup(path.parent, path.stat().st_mtime, parse_manifest(path.read_bytes()))
            except (OSError, ManifestError):
                continue

    def verify(self, name: str) -> tuple[str, ...]:
        """Reads a backup again from the disk: one sentence for each thing that is wrong with it."""
        return problems(self._copies / name)

    def thin(self) -> tuple[str, ...]:
        """Removes what its period has another backup for, and contents that nothing links to; the removed ids."""
        backups = self.all()
        kept = thinned(backups)
        removed = tuple(backup.manifest.id for backup in backups if backup.manifest.id not in kept)
        for name in removed:
            gone = self._copies / f".gone-{name}"
            with suppress(FileNotFoundError):  # another upload's thinning, or another worker's, was quicker
                (self._copies / name).rename(gone)
                shutil.rmtree(gone)
        self._sweep_blobs()
        return removed

    def _sweep_blobs(self) -> None:
        for blob in self._blobs.iterdir():
            with suppress(FileNotFoundError):
                self._sweep_blob(blob)

    def _sweep_blob(self, blob: Path) -> None:
        found = blob.stat()
        if found.st_nlink == 1 and not blob.name.startswith(".") and time.time() - found.st_mtime > UNUSED_SECONDS:
            blob.unlink()

    def want(self, now: float) -> None:
        """Asks the nodes for a backup that is not older than this moment."""
        replace_private(self._wanted, f"{int(now)}\n".encode())

    @property
    def wanted(self) -> int:
        """The moment of the last such wish; 0 when there was none."""
        return int(self._wanted.read_text()) if self._wanted.exists() else 0


def prepared(root: Path) -> Backups:
    """The backups below this folder, which is made when it is missing."""
    backups = Backups(root)
    backups.prepare()
    return backups


def thinned(backups: Iterable[Backup]) -> frozenset[str]:
    """The ids that stay: the newest three, and of each of the latest periods the backup that arrived first.

    So a node that sends many, or that lies about their times, pushes out none that was here before.
    """
    by_arrival = sorted(backups, key=lambda backup: (backup.received, backup.manifest.id))
    kept = {backup.manifest.id for backup in sorted(by_arrival, key=lambda backup: backup.taken)[-LEAST:]}
    for length, count in PERIODS:
        first: dict[int, str] = {}
        for backup in by_arrival:
            first.setdefault(int(backup.taken // length), backup.manifest.id)
        kept |= {first[period] for period in sorted(first)[-count:]}
    return frozenset(kept)


def check_room(folder: Path) -> None:
    """NoRoomError when the disk of this folder is nearly full."""
    if shutil.disk_usage(folder).free < RESERVE:
        raise NoRoomError(f"less than {RESERVE >> 20} MiB are free")


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_snapshot(path: Path, file: File) -> None:
    """DamagedError unless a plain snapshot ends with the SHA-256 of its other bytes, as etcdctl writes it."""
    if file.name != "snapshot.db":
        return
    running, left = hashlib.sha256(), file.bytes - 32
    with path.open("rb") as opened:
        while left > 0 and (data := opened.read(min(CHUNK, left))):
            running.update(data)
            left -= len(data)
        if file.bytes % 512 != 32 or opened.read() != running.digest():
            raise DamagedError("the snapshot does not end with the hash of its own bytes")


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def problems(folder: Path) -> tuple[str, ...]:
    """What is wrong with a backup's folder, wherever it lies: one sentence each."""
    return tuple(_problems(folder))


def _problems(folder: Path) -> Iterator[str]:
    try:
        manifest = parse_manifest((folder / MANIFEST).read_bytes())
    except OSError as error:
        yield f"{folder / MANIFEST}: {error.strerror}"
        return
    except ManifestError as error:
        yield f"{folder / MANIFEST}: {error}"
        return
    if manifest.id != folder.name:
        yield f"{folder / MANIFEST}: is of another backup, {manifest.id}"
    for file in manifest.files:
        yield from _file_problems(folder / file.name, file)


def _file_problems(path: Path, file: File) -> Iterator[str]:
    if not path.is_file():
        yield f"{path}: is missing"
    elif not _has_size(path, file.bytes):
        yield f"{path}: has {path.stat().st_size} bytes, its manifest says {file.bytes}"
    elif digest_of(path) != file.sha256:
        yield f"{path}: is damaged, its SHA-256 is not the one of its manifest"
    else:
        try:
            check_snapshot(path, file)
        except DamagedError as error:
            yield f"{path}: {error}"
