"""Knows the disk's manners: how to make writes durable, and what its refusals mean to a person."""

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from generator.errors import LocalError

_MEANINGS = {
    errno.ENOSPC: ("the disk is full", "free some space and run the command again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space and run the command again"),
    errno.EROFS: ("the file system is read-only", "name a folder that can be written"),
    errno.EACCES: ("permission denied", "run as the folder's owner, or name a folder of your own"),
    errno.EPERM: ("permission denied", "run as the folder's owner, or name a folder of your own"),
    errno.ENOENT: ("there is no such file or folder", ""),
    errno.ENOTDIR: ("a file stands where a folder is needed", "move the file away"),
    errno.EEXIST: ("a file stands where a folder is needed", "move the file away"),
    errno.EISDIR: ("a folder stands where a file is needed", "move the folder away"),
    errno.EIO: ("the disk cannot be read or written", "look at the kernel's log"),
}


@contextmanager
def describe(path: Path) -> Iterator[None]:
    """Turns an OSError of the block into one clear LocalError about the file, or about `path`."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read the output went away, which is no fault of the disk
    except OSError as error:
        meaning, hint = _MEANINGS.get(error.errno or 0, (error.strerror or "input or output failed", ""))
        # A rename that fails has two names, and it is the second that stands in the way.
        file = next((name for name in (error.filename2, error.filename) if isinstance(name, str)), str(path))
        raise LocalError.because(meaning, file=file, hint=hint) from error


def create_file(path: Path, data: bytes) -> None:
    """A new file; LocalError when there is one of that name already."""
    with describe(path):
        if path.exists():
            raise LocalError.because("the file is there already", file=str(path), hint="choose another name")
        try:
            with path.open("xb") as file:
                file.write(data)
        except OSError:
            path.unlink(missing_ok=True)
            raise


def replace_file(path: Path, data: bytes) -> None:
    """The file with these bytes, 0600 from its creation, replaced in one step."""
    temporary = path.with_name(f".{path.name}.new")
    with describe(path):
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        temporary.replace(path)


def sync(folder: Path) -> None:
    """Returns when the file system of `folder` has everything on its disk."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)  # Linux's; Python offers sync() only
    if syncfs is None:
        os.sync()
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        if syncfs(handle) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    finally:
        os.close(handle)
