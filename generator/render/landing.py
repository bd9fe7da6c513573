"""Knows the files that every installer lands on a node, the same for cloud-init, kickstart, preseed and autoinstall."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from generator.plan.seed import Seed
from generator.render.node_conf import render_node_conf
from generator.scripts import UNIT, Script

CONF = "/etc/kubeseed/node.conf"
# What every installer runs once the files are there.
ENABLE = ("systemctl", "enable", UNIT)


@dataclass(frozen=True, slots=True)
class Landed:
    """A file on the node, owned by root."""

    path: str
    mode: int
    text: str


def land_facts(seed: Seed) -> Iterator[Landed]:
    """The files that differ from node to node."""
    yield Landed(CONF, 0o644, render_node_conf(seed.conf))
    if seed.proof:
        header = f"Authorization: Enrolment {seed.proof.reveal()}"
        yield Landed("/etc/kubeseed/enrol.curl", 0o600, f'header = "{header}"\n')


def land_scripts(root: str, scripts: Iterable[Script]) -> Iterator[Landed]:
    """The files that are the same on every node of a cluster."""
    yield Landed("/etc/kubeseed/ca.crt", 0o644, root)
    yield from (Landed(script.path, script.mode, script.text) for script in scripts)
