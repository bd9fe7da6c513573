"""Knows how the generated folder is laid into a shared store and taken out again: whole, sealed, by its newest mark."""

import gzip
import hashlib
import io
import secrets
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import TypeAdapter, ValidationError

from http_server.archive import Member, pack
from http_server.etcd import Etcd, EtcdError, delete, get, put
from http_server.keyring import KeyringError
from http_server.ports import Keyring, StoreUnavailableError
from http_server.private_file import replace_private
from http_server.secret import Secret
from http_server.settings import Out

PIECE = 512 * 1024  # etcd takes requests of 1.5 MiB
ROOMS = ("coordinator", "pxe")
INVENTORY = "coordinator/inventory.json"


@dataclass(frozen=True, slots=True)
class Label:
    """What lies on the shelf: a random mark, how many pieces, and the SHA-256 of the whole."""

    mark: str
    pieces: int
    sha256: str


_LABEL = TypeAdapter(Label)


class Shelf:
    """One archive in etcd. Pieces are sealed, because filesets may hold passwords."""

    def __init__(self, etcd: Etcd, prefix: str) -> None:
        self._etcd = etcd
        self._folder = f"{prefix}/shelf"

    def label(self) -> Label | None:
        """The newest that was laid there."""
        return self._guarded_label()[0]

    def lay(self, data: bytes, keyring: Keyring) -> Label:
        """Puts an archive there; the former one goes when this one is whole. Who is slower than another one repeats."""
        former, revision = self._guarded_label()
        pieces = [data[start : start + PIECE] for start in range(0, len(data), PIECE)]
        label = Label(secrets.token_hex(8), len(pieces), hashlib.sha256(data).hexdigest())
        try:
            for number, piece in enumerate(pieces):
                key = self._piece(label.mark, number)
                self._etcd.change(key, 0, [put(key, keyring.seal(f"shelf {label.mark} {number}", 0, Secret(piece)))])
            if not self._etcd.change(self._label_key, revision, [put(self._label_key, _LABEL.dump_json(label))]):
                raise StoreUnavailableError("somebody else pushed at the same moment")
            self._drop(former)
        except EtcdError as error:
            raise StoreUnavailableError(f"etcd: {error}") from error
        return label

    def take(self, label: Label, keyring: Keyring) -> bytes:
        """The archive under this label; StoreUnavailableError when it is being replaced just now."""
        whole = b"".join(self._pieces(label, keyring))
        if hashlib.sha256(whole).hexdigest() != label.sha256:
            raise StoreUnavailableError("what was pushed is not whole")
        return whole

    def seal_anew(self, keyring: Keyring) -> None:
        """The same archive under the key that seals now."""
        label = self.label()
        if label:
            self.lay(self.take(label, keyring), keyring)

    @property
    def _label_key(self) -> str:
        return f"{self._folder}/label"

    def _piece(self, mark: str, number: int) -> str:
        return f"{self._folder}/{mark}/{number:05d}"

    def _guarded_label(self) -> tuple[Label | None, int]:
        try:
            found = self._etcd.ask(get(self._label_key)).ranges[0]
            return (_LABEL.validate_json(found[0].value), found[0].revision) if found else (None, 0)
        except (EtcdError, ValidationError) as error:
            raise StoreUnavailableError(f"etcd: {error}") from error

    def _pieces(self, label: Label, keyring: Keyring) -> Iterator[bytes]:
        for number in range(label.pieces):
            try:
                found = self._etcd.ask(get(self._piece(label.mark, number))).ranges[0]
                yield keyring.unseal(f"shelf {label.mark} {number}", 0, found[0].value).reveal()
            except (EtcdError, KeyringError, IndexError) as error:
                raise StoreUnavailableError(f"what was pushed cannot be read: {error}") from error

    def _drop(self, label: Label | None) -> None:
        for number in range(label.pieces if label else 0):
            key = self._piece(label.mark if label else "", number)
            for entry in self._etcd.ask(get(key)).ranges[0]:
                self._etcd.change(key, entry.revision, [delete(key)])


def pack_rooms(root: Path) -> bytes:
    """The coordinator's and the boot server's rooms of OUT; the same files give the same bytes."""
    paths = (path for room in ROOMS for path in (root / room).rglob("*") if path.is_file() and not path.is_symlink())
    members = (Member(str(path.relative_to(root)), path.read_bytes(), path.stat().st_mode & 0o777) for path in paths)
    return gzip.compress(pack(members), 6, mtime=0)


def unpack_rooms(root: Path, data: bytes) -> None:
    """Replaces both rooms file by file. The inventory is last, so it never names a file that is not there yet."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as archive:
        members = {member.name: member for member in archive if _belongs(member)}
        for name in sorted(members, key=lambda name: name == INVENTORY):
            file = archive.extractfile(members[name])
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            replace_private(target, file.read() if file else b"", members[name].mode & 0o777)
    for path in (path for room in ROOMS for path in (root / room).rglob("*")):
        if path.is_file() and str(path.relative_to(root)) not in members:
            path.unlink()


def _belongs(member: tarfile.TarInfo) -> bool:
    parts = PurePosixPath(member.name).parts
    return member.isfile() and parts[0] in ROOMS and ".." not in parts


def take_pushed(shelf: Shelf, keyring: Keyring, out: Out) -> bool:
    """Brings OUT to what was pushed last, once for each push; whether there was something new."""
    label = shelf.label()
    if label is None or _taken(out) == label.mark:
        return False
    unpack_rooms(out.root, shelf.take(label, keyring))
    note_taken(out, label)
    return True


def note_taken(out: Out, label: Label) -> None:
    """OUT is what lies under this label."""
    replace_private(out.pushed, label.mark.encode())


def _taken(out: Out) -> str:
    return out.pushed.read_text() if out.pushed.exists() else ""
