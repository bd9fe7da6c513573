"""Knows how files that only their owner may read are made, checked and kept in memory."""

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from http_server.errors import StartError

FOLDER, FILE = 0o700, 0o600


def create_private(path: Path, data: bytes) -> None:
    """Writes a new file, 0600 from its creation, and syncs it and its folder."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def replace_private(path: Path, data: bytes, mode: int = FILE) -> None:
    """Replaces a file in one step. Not synced: for what may be lost in a power cut but never be torn."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, FILE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(data)
    temporary.replace(path)


def sweep(folder: Path) -> None:
    """Removes what a process that was killed while it replaced a file has left over. Nobody may be replacing one."""
    for path in folder.glob(".*.[0-9]*"):
        path.unlink(missing_ok=True)


def replace_durably(path: Path, data: bytes) -> None:
    """Replaces a file in one step that survives a power cut: there is the old one or the new one, whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    create_private(temporary, data)
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes what was created or renamed in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_private(path: Path) -> None:
    """Refuses a secret's file or folder that others may enter or read, or that belongs to somebody else."""
    found = path.lstat()
    wanted = FOLDER if stat.S_ISDIR(found.st_mode) else FILE
    if stat.S_ISLNK(found.st_mode):
        raise StartError(
            f"{path} is a symbolic link; secrets are kept in plain files", f"put the file itself at {path}"
        )
    if found.st_uid not in {0, os.geteuid()}:
        raise StartError(f"{path} belongs to user {found.st_uid}, not to you", f"chown {os.geteuid()} {path}")
    if stat.S_IMODE(found.st_mode) & ~wanted:
        mode = stat.S_IMODE(found.st_mode)
        raise StartError(f"{path} has mode {mode:04o}, others could reach its secrets", f"chmod {wanted:04o} {path}")


@contextmanager
def in_memory(data: bytes) -> Iterator[str]:
    """A path to bytes that never touch a disk, for libraries that take keys only by file name (memfd_create(2))."""
    descriptor = os.memfd_create("kubeseed", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
