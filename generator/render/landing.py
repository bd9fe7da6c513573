"""Knows the files that every installer lands on a node, the same for cloud-init, kickstart, preseed and autoinstall."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from generator.plan.seed import Seed
from generator.render.node_conf import render_node_conf
from generator.scripts import LIBRARY, UNIT, Script

CONF = "/etc/kubeseed/node.conf"
SUDOERS = "/etc/sudoers.d/kubeseed"
# What every installer runs once the files are there.
ENABLE = ("systemctl", "enable", UNIT)
# Under SELinux systemd starts programs of this type in a domain of their own, and those of a library's type in its own.
_LABEL = ("chcon", "-R", "-t", "bin_t", LIBRARY)


@dataclass(frozen=True, slots=True)
class Landed:
    """A file on the node, owned by root."""

    path: str
    mode: int
    text: str


def commands(seed: Seed) -> tuple[tuple[str, ...], ...]:
    """What every installer runs, in order, once the files are there. Only the last, ENABLE, may not fail."""
    tidy = tuple(("rmdir", f"{disk.mount}/lost+found") for disk in seed.disks)
    return (*tidy, *((_LABEL,) if seed.labels_programs else ()), ENABLE)


def land_facts(seed: Seed) -> Iterator[Landed]:
    """The files that differ from node to node."""
    yield Landed(CONF, 0o644, render_node_conf(seed.conf))
    if seed.proof:
        header = f"Authorization: Enrolment {seed.proof.reveal()}"
        yield Landed("/etc/kubeseed/enrol.curl", 0o600, f'header = "{header}"\n')
    if powerful := [login.name for login in seed.logins if login.group]:
        yield Landed(SUDOERS, 0o440, "".join(f"{name} ALL=(ALL) NOPASSWD:ALL\n" for name in powerful))


def land_scripts(root: str, scripts: Iterable[Script]) -> Iterator[Landed]:
    """The files that are the same on every node of a cluster."""
    yield Landed("/etc/kubeseed/ca.crt", 0o644, root)
    yield from (Landed(script.path, script.mode, script.text) for script in scripts)
