"""Writes a golden case: fixed clock and randomness, stand-ins for the scripts of nodes, everything else is real."""

import gzip
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from generator.bundle import renew_bundle
from generator.files import Inputs, render_files
from generator.mirror import load_mirrors
from generator.output import LOCK, MANIFEST, opened, write
from generator.profile import load_profiles
from generator.scripts import load_scripts
from generator.workspace import load_order
from tests.fixed import NOW, fixed_random

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parents[1] / "profiles" / "cluster"
SPECS = {
    "ha": EXAMPLES / "ha.yaml",
    "minimal": EXAMPLES / "minimal.yaml",
    "rich": HERE / "rich.yaml",
    "ipv6": HERE / "ipv6.yaml",
}
LISTING = "files.txt"


@dataclass(frozen=True)
class Found:
    """One file below OUT."""

    mode: int
    data: bytes


def generate(spec: Path, out: Path) -> None:
    """The same road as the command's, with the clock and randomness of `tests.fixed`."""
    order, _ = load_order(spec, (), strict=False)
    names = [node.name for node in order.cluster.nodes]
    with opened(out, create=True):
        inputs = Inputs(
            cluster=order.cluster,
            spec_digest=order.digest,
            profiles=load_profiles(),
            mirrors=load_mirrors(),
            bundle=renew_bundle(None, order.cluster.metadata.name, names, now=NOW, random=fixed_random()),
            scripts=load_scripts(HERE / "templates"),
            audit_policy=order.audit_policy,
        )
        write(out, render_files(inputs), order.digest)


def read_tree(out: Path) -> dict[str, Found]:
    """Every file below OUT by its path."""
    return {
        str(path.relative_to(out)): Found(path.stat().st_mode & 0o7777, path.read_bytes())
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != LOCK
    }


def listing(tree: dict[str, Found]) -> str:
    """Mode, digest and path of every file. Libraries may compress differently, so what was compressed is digested."""
    return "".join(f"{found.mode:04o} {_digest(path, found)} {path}\n" for path, found in tree.items())


def _digest(path: str, found: Found) -> str:
    if path == MANIFEST:
        return "-" * 64
    return sha256(gzip.decompress(found.data) if path.endswith(".gz") else found.data).hexdigest()


def readable(tree: dict[str, Found]) -> dict[str, bytes]:
    """The files that people review: no archives, no keys."""
    hidden = (".gz", ".tar")
    return {
        path: found.data
        for path, found in tree.items()
        if path != MANIFEST and not path.startswith("secrets/") and not path.endswith(hidden)
    }
