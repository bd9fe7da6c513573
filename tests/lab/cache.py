"""Knows where things that take long to build are kept: outside the tree, by content, whole or not at all."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.lab.command import run, say

UNUSED_DAYS = 30


def cache_root() -> Path:
    """${XDG_CACHE_HOME:-~/.cache}/kubeseed/lab."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "kubeseed" / "lab"


def cached_folder(kind: str, digest: str) -> Path:
    """Where a thing is, or would be."""
    return cache_root() / f"{kind}-{digest[:16]}"


def cached(kind: str, digest: str, build: Callable[[Path], None]) -> Path:
    """The folder `kind-digest`; `build` fills a new one when it is missing. Others wait meanwhile."""
    folder = cached_folder(kind, digest)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        if not folder.exists():
            _build(folder, build)
            _drop_unused(kind)
        os.utime(folder)
    return folder


def _build(folder: Path, build: Callable[[Path], None]) -> None:
    new = folder.with_name(f".{folder.name}.new")
    remove(new)
    new.mkdir()
    began = time.monotonic()
    say(f"building {folder.name}, once ...")
    build(new)
    new.rename(folder)
    say(f"built {folder} in {time.monotonic() - began:.0f} s")


def remove(folder: Path) -> None:
    """Removes a tree that may hold a root file system, and nothing that is mounted in it."""
    run(["rm", "-rf", "--one-file-system", folder], timeout=300)


def _drop_unused(kind: str) -> None:
    """Removes what no run has asked for in a month."""
    for old in cache_root().glob(f"{kind}-*"):
        if old.is_dir() and time.time() - old.stat().st_mtime > UNUSED_DAYS * 86400:
            remove(old)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder.with_name(f".{folder.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
