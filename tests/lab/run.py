"""Knows one run of the tests on this machine: its folder, its mark on processes, and what dead runs have left over."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.cache import remove
from tests.lab.command import LabError, run

# Beside the caches rather than in /tmp, which may be memory: machines' disks lie here.
FOLDERS = Path("/var/tmp/kubeseed-lab")
MARK = "KUBESEED_LAB_RUN"
RECORD = "machine.json"


@dataclass(frozen=True, slots=True)
class Run:
    """A run is named by the process that does it: `PID-START`, which no later process can have."""

    name: str

    @property
    def folder(self) -> Path:
        """Everything that the run makes lies below; gone when it ends."""
        return FOLDERS / self.name

    @property
    def namespace_prefix(self) -> str:
        """Its network namespaces begin so."""
        return f"kubeseed-{self.name}-"

    @property
    def environment(self) -> dict[str, str]:
        """What its processes are started with, so that they can be found."""
        return {**os.environ, MARK: self.name}

    @property
    def alive(self) -> bool:
        """Whether the process that names it still runs."""
        pid, _, started = self.name.partition("-")
        return start_of(int(pid)) == started


def start_of(pid: int) -> str | None:
    """When a process started (proc(5), /proc/PID/stat, field 22), or None when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def begin() -> Run:
    """Clears up after dead runs and begins this process's own."""
    if os.geteuid() != 0:
        raise LabError("the lab needs root: network namespaces and containers")
    FOLDERS.mkdir(mode=0o700, exist_ok=True)
    for folder in FOLDERS.iterdir():
        run_before = Run(folder.name)
        if not run_before.alive:
            clear(run_before)
    started = Run(f"{os.getpid()}-{start_of(os.getpid())}")
    started.folder.mkdir(mode=0o700, exist_ok=True)
    return started


def clear(ended: Run) -> None:
    """Ends what a run started, removes its namespaces and its folder. Harmless when there is nothing."""
    for pid in _processes(ended):
        _kill_tree(pid)
    for namespace in Path("/run/netns").glob(f"{ended.namespace_prefix}*"):
        run(["ip", "netns", "delete", namespace.name])
    remove(ended.folder)


def _processes(of: Run) -> Iterator[int]:
    """Processes with the run's mark, and those that its machines were written down with."""
    mark = f"{MARK}={of.name}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and mark in _read(entry / "environ").split(b"\0"):
            yield int(entry.name)
    for record in of.folder.rglob(RECORD):
        text = record.read_text()
        pid, _, started = text.partition('"process": "')[2].partition('"')[0].partition(" ")
        if pid and start_of(int(pid)) == started:
            yield int(pid)


def _kill_tree(pid: int) -> None:
    """Children first: a container's first process outlives the nspawn that started it."""
    for child in _read(Path(f"/proc/{pid}/task/{pid}/children")).split():
        _kill_tree(int(child))
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
