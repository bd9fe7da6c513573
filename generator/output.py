"""Knows how artefacts reach the disk: the folder changes as a whole or not at all, whatever happens meanwhile.

`generate` writes in two phases. First every artefact that differs goes below OUT/.new with its final mode, is synced,
and `.new/COMMIT` seals it. Then each is renamed into place, what is no longer wanted is removed, the manifest comes
last and `.new` goes away. Whoever is next finds a sealed `.new` and finishes it, or an unsealed one and drops it:
`recover`.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from generator.disk import describe, sync
from generator.errors import LocalError
from generator.manifest import Entry, Manifest
from generator.render.artefact import Artefact

MANIFEST = "manifest.json"
PENDING = ".new"
LOCK = ".lock"
STATE = "state"  # the coordinator's; never touched here
PRIVATE_FOLDERS = frozenset({"secrets"})

# Told of every step before it is taken, with the path that it is about; tests stop the world here.
Watch = Callable[[str, str | Path], None]


def unwatched(step: str, path: str | Path) -> None:
    """Nobody looks."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Paths that a `generate` wrote anew, changed and removed."""

    added: frozenset[str]
    changed: frozenset[str]
    removed: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        return self.added | self.changed | self.removed


@contextmanager
def opened(out: Path, *, create: bool = False, watch: Watch = unwatched) -> Iterator[Manifest]:
    """Holds OUT's lock and gives its manifest, after a write that was cut short is finished or dropped.

    Every command that reads OUT comes through here. LocalError when OUT is not ours, busy or out of reach.
    """
    with describe(out):
        if create:
            out.mkdir(parents=True, exist_ok=True)
        _check_ours(out)
        with _locked(out):
            recover(out, watch)
            if not create and not (out / MANIFEST).exists():
                raise _nothing_yet(out, "nothing has been generated here yet")
            yield read_manifest(out)


def read_manifest(out: Path) -> Manifest:
    """The manifest of the last `generate`; an empty one before the first."""
    path = out / MANIFEST
    return Manifest.parse(path.read_bytes(), file=str(path)) if path.exists() else Manifest()


def write(out: Path, artefacts: Iterable[Artefact], spec_digest: str, *, watch: Watch = unwatched) -> Changes:
    """Makes OUT hold exactly `artefacts` beside what it never wrote; call it inside `opened`.

    Artefacts are taken one by one, so that only one node's need be in memory.
    """
    before = read_manifest(out)
    stage = _Stage(out / PENDING, out, watch)
    try:
        stage.open()
        entries = [(artefact.path, stage.take(artefact)) for artefact in artefacts]
        after = Manifest.of(entries, spec_digest)
        changes = _changes(before, after, stage.written)
        if not changes.all and before == after:
            return changes
        stage.seal(after)
    finally:
        if not stage.sealed:
            shutil.rmtree(out / PENDING, ignore_errors=True)
    _finish(out, before, after, watch)
    return changes


def recover(out: Path, watch: Watch = unwatched) -> None:
    """Finishes a sealed write and drops an unsealed one. Harmless when there is neither; may be cut short itself."""
    pending = out / PENDING
    # Without the manifest, which is renamed last, all is in place already.
    if (pending / "COMMIT").exists() and (pending / MANIFEST).exists():
        after = Manifest.parse((pending / MANIFEST).read_bytes(), file=str(pending / MANIFEST))
        _finish(out, read_manifest(out), after, watch)
    elif pending.exists():
        _discard(pending, watch)


def _finish(out: Path, before: Manifest, after: Manifest, watch: Watch) -> None:
    """The second phase, of a sealed write."""
    pending = out / PENDING
    _place(pending / "tree", out, watch)
    for path in sorted(before.entries.keys() - after.entries.keys()):
        watch("remove", out / path)
        _remove(out, path)
    watch("rename", out / MANIFEST)
    sync(out)
    (pending / MANIFEST).rename(out / MANIFEST)
    sync(out)
    _discard(pending, watch)


def _discard(pending: Path, watch: Watch) -> None:
    watch("discard", pending)
    # The seal goes first: what is left of a finished write must never be taken for one to finish.
    (pending / "COMMIT").unlink(missing_ok=True)
    shutil.rmtree(pending)


def _place(source: Path, target: Path, watch: Watch) -> None:
    """Renames everything in `source` to its place in `target`; a folder that is not there yet moves as a whole."""
    for entry in sorted(os.scandir(source), key=lambda entry: entry.name):
        there = target / entry.name
        if entry.is_dir() and there.is_dir():
            _place(source / entry.name, there, watch)
        else:
            watch("rename", there)
            Path(entry.path).rename(there)


def _remove(out: Path, path: str) -> None:
    """Removes a file of ours and the folders that it leaves empty."""
    (out / path).unlink(missing_ok=True)
    for folder in (out / path).parents:
        if folder == out or (folder.is_dir() and any(folder.iterdir())):
            return
        if folder.is_dir():
            folder.rmdir()


class _Stage:
    """The first phase: takes artefacts, keeps those that differ from the disk below `.new/tree`."""

    def __init__(self, pending: Path, out: Path, watch: Watch) -> None:
        self.written: set[str] = set()
        self.sealed = False
        self._pending = pending
        self._tree = f"{pending}/tree"
        self._out = str(out)
        self._watch = watch
        self._folders = {""}
        self._looked_at = ("", True)

    def open(self) -> None:
        self._watch("stage", self._pending)
        self._pending.mkdir(mode=0o700)
        Path(self._tree).mkdir(mode=0o700)

    def take(self, artefact: Artefact) -> Entry:
        folder = artefact.path.rpartition("/")[0]
        if not (self._is_there(folder) and _holds(f"{self._out}/{artefact.path}", artefact)):
            self._watch("write", artefact.path)
            if folder not in self._folders:
                self._make_folder(folder)
            _write_file(f"{self._tree}/{artefact.path}", artefact)
            self.written.add(artefact.path)
        return Entry.of(artefact)

    def seal(self, manifest: Manifest) -> None:
        data = manifest.dump()
        self._watch("write", self._pending / MANIFEST)
        _write_file(str(self._pending / MANIFEST), Artefact(MANIFEST, data, 0o600))
        self._watch("sync", self._pending)
        sync(self._pending)
        self._watch("seal", self._pending)
        _write_file(str(self._pending / "COMMIT"), Artefact("COMMIT", b""))
        self.sealed = True
        sync(self._pending)

    def _is_there(self, folder: str) -> bool:
        """Whether OUT has the folder; nothing below one that is missing needs to be looked for."""
        if folder != self._looked_at[0]:
            self._looked_at = (folder, Path(self._out, folder).is_dir())
        return self._looked_at[1]

    def _make_folder(self, folder: str) -> None:
        """Makes the folder with a mode that is ours, not the umask's: dnsmasq must be able to read `pxe`."""
        parent, _, name = folder.rpartition("/")
        if parent not in self._folders:
            self._make_folder(parent)
        path = Path(self._tree, folder)
        path.mkdir(mode=0o700)
        path.chmod(0o700 if name in PRIVATE_FOLDERS and not parent else 0o755)
        self._folders.add(folder)


def _holds(path: str, artefact: Artefact) -> bool:
    """Whether the file is there as it should be: these bytes, this mode, and a file rather than a link."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        status = os.fstat(handle)
        same = status.st_mode & 0o7777 == artefact.mode and status.st_size == len(artefact.data)
        return same and os.read(handle, len(artefact.data) + 1) == artefact.data
    finally:
        os.close(handle)


def _write_file(path: str, artefact: Artefact) -> None:
    """Makes a file that nobody else can read before its mode says so."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:  # without a file object: there are ten thousands of files, and each such object asks the kernel three things
        os.fchmod(handle, artefact.mode)
        left = artefact.data
        while left:
            left = left[os.write(handle, left) :]
    finally:
        os.close(handle)


def _changes(before: Manifest, after: Manifest, written: set[str]) -> Changes:
    added = frozenset(path for path in written if path not in before.entries)
    removed = frozenset(before.entries.keys() - after.entries.keys())
    return Changes(added, frozenset(written) - added, removed)


def _check_ours(out: Path) -> None:
    """Refuses a folder that holds things and none of our marks."""
    if not out.is_dir():
        raise _nothing_yet(out, "there is no such folder")
    names = {entry.name for entry in out.iterdir()}
    if MANIFEST in names or (out / PENDING / "COMMIT").exists() or not names - {LOCK, PENDING, STATE}:
        return
    raise LocalError.because(
        "the folder is not empty and was not written by kubeseed", file=str(out), hint="name a new or empty folder"
    )


def _nothing_yet(out: Path, message: str) -> LocalError:
    return LocalError.because(message, file=str(out), hint="write it first: kubeseed generate SPEC -o OUT")


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Holds OUT alone; the kernel frees the lock when the process dies."""
    handle = os.open(out / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(handle, out)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, out: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LocalError.because(
            "another kubeseed is working in this folder", file=str(out), hint="wait until it has finished"
        ) from None
