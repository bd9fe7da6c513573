"""Knows the scripts of a node: those that every seed brings, and the programs that follow, pinned by digest."""

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from generator.errors import LocalError
from generator.resource import data_root

LIBRARY = "/usr/local/lib/kubeseed"
UNITS = "/etc/systemd/system"
UNIT = "kubeseed-firstboot.service"

# What a node needs until it has fetched its files; everything else travels in the archive of programs.
SEED = frozenset({UNIT, "lib.sh", "run", "stage/clock", "stage/enrol", "stage/files", "stage/preflight"})
# What a node needs beside that to upgrade its kernel before it enrols; the library is among the programs, too.
KERNEL = frozenset({"stage/kernel", "system.sh"})


@dataclass(frozen=True, slots=True)
class Script:
    """A file as the seed lands it on a node."""

    path: str
    mode: int
    text: str


@dataclass(frozen=True)
class Scripts:
    """`seed` lands everywhere, `kernel` where the kernel is upgraded; `programs` is a tar (POSIX ustar) for LIBRARY."""

    seed: tuple[Script, ...]
    kernel: tuple[Script, ...]
    programs: bytes

    @cached_property
    def digest(self) -> str:
        """What a seed says of its programs: nothing else is ever run on its node."""
        return sha256(self.programs).hexdigest()


def load_scripts(folder: Path | None = None) -> Scripts:
    """All of templates/node and templates/backup, in the order of their paths; LocalError when they are not there."""
    root = folder or data_root() / "templates"
    files = dict(sorted((*_files(root / "node", ""), *_files(root / "backup", "backup/"))))
    if missing := (SEED | KERNEL) - files.keys():
        raise LocalError.because(f"{min(missing)} is missing; the installation is incomplete", file=str(root / "node"))
    first, kernel = (tuple(_script(*item) for item in files.items() if item[0] in names) for names in (SEED, KERNEL))
    return Scripts(first, kernel, _archive(item for item in files.items() if item[0] not in SEED | {"stage/kernel"}))


def _files(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield prefix + path.relative_to(folder).as_posix(), path


def _script(name: str, path: Path) -> Script:
    text = "\n".join(without_comments(path.read_text().splitlines())) + "\n"
    folder = UNITS if _is_unit(name) else LIBRARY
    return Script(f"{folder}/{name}", _mode(name), text)


def _archive(files: Iterable[tuple[str, Path]]) -> bytes:
    """The same files give the same bytes, whoever owns them and whenever they were written."""
    archive = BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, path in files:
            member = tarfile.TarInfo(f"units/{name.rpartition('/')[2]}" if _is_unit(name) else name)
            data = path.read_bytes()
            member.size, member.mode = len(data), _mode(name)
            tar.addfile(member, BytesIO(data))
    return archive.getvalue()


def _is_unit(name: str) -> bool:
    return name.endswith((".service", ".timer"))


def _mode(name: str) -> int:
    return 0o644 if _is_unit(name) or name.endswith((".sh", ".cron")) else 0o755


def without_comments(lines: Iterable[str]) -> Iterator[str]:
    """The lines without those whose first character is `#`, but for the first two: interpreter and purpose."""
    return (line for number, line in enumerate(lines) if number < 2 or not line.startswith("#"))
