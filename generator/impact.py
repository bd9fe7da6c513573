"""Knows what a `generate` means for each node: nothing, live, a reboot or a new installation."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from generator.output import Changes

# Read by the kernel and by systemd at boot; a running system has to be told by hand.
_READ_AT_BOOT = frozenset({"sysctl.conf", "modules.conf", "modprobe.conf", "limits.conf"})


class Effect(StrEnum):
    """What has to happen before a machine that already runs is as the spec says."""

    NEW = "new"
    NOTHING = "nothing"
    LIVE = "live"
    REBOOT = "reboot"
    REINSTALL = "reinstall"
    REMOVED = "removed"


MEANINGS: Mapping[Effect, str] = {
    Effect.NEW: "boot the machine with its seed",
    Effect.LIVE: "the coordinator hands out the new files; a node that has fetched its files keeps the old ones",
    Effect.REBOOT: "as live, and read at boot only",
    Effect.REINSTALL: "the seed is another; a machine that booted with the old one takes it only when installed anew",
    Effect.REMOVED: "no longer in the spec; remove it from the cluster with kubectl",
}


@dataclass(frozen=True, slots=True)
class Impact:
    """The effect on one node, and the files that bring it about."""

    node: str
    effect: Effect
    files: tuple[str, ...] = ()


def judge_changes(filesets: Mapping[str, Iterable[str]], changes: Changes) -> tuple[Impact, ...]:
    """The impact on every node of `filesets` (the names of each node's filesets), and on nodes that are gone."""
    touched = _by_folder(changes.all)
    seeds = {name: touched.get(f"nodes/{name}", ()) for name in filesets}
    new = {name for name in filesets if f"nodes/{name}/meta-data" in changes.added}
    judged = [_judge(name, name in new, seeds[name], _files(names, touched)) for name, names in filesets.items()]
    gone = {path.split("/")[1] for path in changes.removed if path.startswith("nodes/")} - set(filesets)
    return (*judged, *(Impact(name, Effect.REMOVED) for name in sorted(gone)))


def _judge(node: str, new: bool, seed: tuple[str, ...], files: tuple[str, ...]) -> Impact:
    if new:
        return Impact(node, Effect.NEW)
    if seed:
        return Impact(node, Effect.REINSTALL, (*seed, *files))
    if _READ_AT_BOOT & set(files):
        return Impact(node, Effect.REBOOT, files)
    return Impact(node, Effect.LIVE if files else Effect.NOTHING, files)


def _files(filesets: Iterable[str], touched: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({path for name in filesets for path in touched.get(f"coordinator/files/{name}", ())}))


def _by_folder(paths: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Changed files by the folder of their node or fileset, their names below it."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(paths):
        parts = path.split("/")
        depth = 3 if parts[0] == "coordinator" else 2
        found["/".join(parts[:depth])].append("/".join(parts[depth:]))
    return {folder: tuple(names) for folder, names in found.items()}
