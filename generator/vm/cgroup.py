"""Knows how a container node gets control groups of its own where each controller has a hierarchy (cgroups(7), v1).

systemd-nspawn moves a container in the hierarchy of systemd alone and leaves the controllers' to the host. Where no
systemd of the host sees to them, all containers share them, and each kubelet meets the pods of all others, and those
of dead machines, at its start. Groups of its own are the root of what a container sees, by its cgroup namespace.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "kubeseed-vm."
# How often a group is made anew that another command has swept away.
TRIES = 3
# A new cpuset has neither processors nor memory until it is given some.
CPUSET = ("cpuset.cpus", "cpuset.mems")


@contextmanager
def own_groups(name: str) -> Iterator[None]:
    """Whatever is started inside the block belongs to groups called `name`, as far as this host lets us make some.

    Those of dead machines are removed.
    """
    mine = _groups_of_this_process()
    try:
        for group in mine:
            with contextlib.suppress(OSError):
                sweep(group)
            join(group, name)
        yield
    finally:
        for group in mine:
            with contextlib.suppress(OSError):
                _enter(group)


def _groups_of_this_process() -> list[Path]:
    """The folder of this process in each hierarchy that has controllers and is mounted."""
    places = mounts(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape"))
    lines = Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    named = [line.split(":", 2)[1:] for line in lines]
    return [places[names] / path.lstrip("/") for names, path in named if names in places]


def mounts(mountinfo: str) -> dict[str, Path]:
    """Controllers -> mount point, of whole hierarchies of version 1 (proc(5), mountinfo)."""
    found: dict[str, Path] = {}
    for line in mountinfo.splitlines():
        fields, _, source = line.partition(" - ")
        kind, _, options = source.split(" ", 2)
        root, place = fields.split(" ")[3:5]
        if kind == "cgroup" and root == "/" and "name=" not in options:
            found[",".join(word for word in options.split(",") if word not in {"rw", "ro"})] = Path(place)
    return found


def join(group: Path, name: str) -> None:
    """Enters a new group; where this host lets nobody do so, it stays in `group`."""
    for _ in range(TRIES):
        with contextlib.suppress(OSError):
            _enter(_make(group, name))
            return


def _make(group: Path, name: str) -> Path:
    new = group / f"{PREFIX}{name}"
    new.mkdir(exist_ok=True)
    for file in CPUSET:
        if (new / file).exists():
            (new / file).write_text((group / file).read_text(encoding="ascii"), encoding="ascii")
    return new


def _enter(group: Path) -> None:
    (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")


def sweep(group: Path) -> None:
    """Removes the groups of machines that have no process any more; another command may do the same."""
    for old in group.glob(f"{PREFIX}*"):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if not any(file.read_text(encoding="ascii") for file in old.rglob("cgroup.procs")):
                _remove(old)


def _remove(group: Path) -> None:
    for folder, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
