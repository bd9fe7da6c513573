"""Knows how a container node gets control groups of its own (cgroups(7)), which are the root of what it sees.

systemd-nspawn leaves the controllers of version 1 to the host and puts every container into one and the same group
`payload` below its own, unless the host's systemd gives it a unit. All containers would share them: each kubelet meets
the pods of all others, and those of dead machines, at its start, and a service that stops on one node takes away the
group in which the same service of another node is about to start.
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
VERSION_1 = "cgroup"
KINDS = {VERSION_1, "cgroup2"}
# Options of a mount of version 1 beside the names of its hierarchy.
NO_NAMES = {"rw", "ro", "xattr"}


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
    """The folder of this process in each hierarchy that is mounted."""
    places = mounts(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape"))
    lines = Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    named = [line.split(":", 2)[1:] for line in lines]
    return [places[names] / path.lstrip("/") for names, path in named if names in places]


def mounts(mountinfo: str) -> dict[str, Path]:
    """Mount points of whole hierarchies (proc(5), mountinfo), by what /proc/PID/cgroup calls them.

    Of version 1 that is the controllers or `name=NAME`, of version 2 nothing.
    """
    found: dict[str, Path] = {}
    for line in mountinfo.splitlines():
        fields, _, source = line.partition(" - ")
        kind, _, options = source.split(" ", 2)
        root, place = fields.split(" ")[3:5]
        if root != "/" or kind not in KINDS:
            continue
        names = [word for word in options.split(",") if word not in NO_NAMES]
        found[",".join(names) if kind == VERSION_1 else ""] = Path(place)
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
