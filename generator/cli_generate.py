"""Knows the commands that make artefacts from a spec: `generate` and `diff`."""

from __future__ import annotations

import gc
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from generator.cli_spec import AsJson, SpecFile, Strict
from generator.root_step import RootStep

if TYPE_CHECKING:  # the commands import what they need when they run, so that `--help` stays quick
    from generator.diff import Difference
    from generator.impact import Impact
    from generator.output import Changes
    from generator.spec.cluster import Cluster

OutOption = Annotated[
    Path,
    typer.Option(
        "-o", "--out", metavar="OUT", help="The folder of the cluster's artefacts.", show_default=False, readable=False
    ),
]
Reinstall = Annotated[
    list[str] | None,
    typer.Option(metavar="NODE", help="Give NODE a new seed: next generation, new secret. May be repeated."),
]
RootOption = Annotated[
    RootStep | None,
    typer.Option(
        "--root",
        help="The root that nodes know the coordinator by: make the next one, switch to it, retire the former.",
        show_default=False,
    ),
]
_ROWS, _FILES = 40, 4
_COLOURS = {"new": "green", "live": "cyan", "reboot": "yellow", "reinstall": "red", "removed": "magenta"}


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cycles, which finds none here and looks through everything for a seventh of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@_uncollected()
def generate(
    spec: SpecFile,
    *,
    out: OutOption,
    strict: Strict = False,
    reinstall: Reinstall = None,
    root: RootOption = None,
    as_json: AsJson = False,
) -> None:
    """Write what the machines need, and say what changed.

    OUT holds the cluster's secrets: keep it where only you can read it, and keep a backup of OUT/secrets.
    """
    from generator import workspace
    from generator.console import progress, show_json, show_problems
    from generator.files import render_files
    from generator.output import opened, write
    from generator.rollover import ageing

    order, warnings = workspace.load_order(spec, reinstall or (), strict=strict, root=root)
    show_problems(warnings)
    with opened(out, create=True) as before, progress("generating", len(order.cluster.nodes)) as done:
        inputs = workspace.prepare(order, out, before)
        changes = write(out, render_files(inputs, done=done), order.digest)
    show_problems(ageing(inputs.bundle, datetime.now(UTC)))
    impacts = workspace.impacts(order.cluster, changes)
    if as_json:
        show_json({**_counts(changes), "nodes": [asdict(impact) for impact in impacts]})
    else:
        _tell(out, order.cluster, changes, impacts)


def _counts(changes: Changes) -> dict[str, int]:
    return {"written": len(changes.added | changes.changed), "removed": len(changes.removed)}


def _row(cluster: Cluster, impact: Impact) -> tuple[str, ...]:
    node = next((node for node in cluster.nodes if node.name == impact.node), None)
    shown = ", ".join(impact.files[:_FILES])
    more = f" and {len(impact.files) - _FILES} more" if len(impact.files) > _FILES else ""
    return (
        impact.node,
        " ".join(node.roles) if node else "",
        str(node.address) if node else "",
        impact.effect.value,
        shown + more,
    )


def _tell(out: Path, cluster: Cluster, changes: Changes, impacts: Sequence[Impact], done: str = "written") -> None:
    from generator.console import say, show_table
    from generator.impact import MEANINGS, Effect

    concerned = [impact for impact in impacts if impact.effect is not Effect.NOTHING]
    if concerned:
        rows = (_row(cluster, impact) for impact in concerned[:_ROWS])
        show_table(("node", "roles", "address", "change", "files"), rows, _COLOURS)
    if len(concerned) > _ROWS:
        say(f"... and {len(concerned) - _ROWS} more nodes; --json names all")
    for effect in Effect:
        if effect in MEANINGS and any(impact.effect is effect for impact in concerned):
            say(f"{effect}: {MEANINGS[effect]}")
    counts = _counts(changes)
    concern = f"{len(concerned)} of {len(impacts)} nodes concerned"
    say(f"{out}: {counts['written']} files {done}, {counts['removed']} removed, {concern}")
    if done == "written" and any(impact.effect is Effect.NEW for impact in impacts):
        _tell_next(out, cluster)


def _tell_next(out: Path, cluster: Cluster) -> None:
    """The roads from here. A command has a line of its own: no terminal is too narrow to copy it."""
    from generator.console import say

    folder = shlex.quote(str(out))
    steps = (
        ("serve", f"kubeseed serve {folder}", "the coordinator; nodes ask it at first boot"),
        ("watch", f"kubeseed status {folder} --watch", "nodes by stages, live"),
        ("disc", f"kubeseed iso {folder}", "a NoCloud disc for each node; it holds the node's secret"),
        (
            "URL",
            f"ds=nocloud-net;s={_boot_url(cluster)}/seed/NODE/",
            "kernel argument; no secret: approve the node on arrival",
        ),
        ("PXE", *_network_boot(folder, cluster)),
        ("try", f"kubeseed vm up {folder} --image PATH", "the nodes as virtual machines here"),
    )
    say("\nnext:")
    for name, command, meaning in steps:
        say(f"  {name:<6} {command}\n         {meaning}")


def _boot_url(cluster: Cluster) -> str:
    """The spec's, or where `kubeseed serve` listens for booting machines when it is told nothing else."""
    from urllib.parse import urlsplit

    coordinator = cluster.coordinator
    if coordinator.boot_url:
        return coordinator.boot_url.rstrip("/")
    host = urlsplit(coordinator.all_urls[0]).hostname or ""
    return f"http://{f'[{host}]' if ':' in host else host}:8080"


def _network_boot(folder: str, cluster: Cluster) -> tuple[str, str]:
    if cluster.pxe:
        return f"kubeseed pxe run {folder}", "machines boot over the network; images: kubeseed image build"
    return "section pxe of the spec", "when machines shall boot over the network; none is in this one"


@_uncollected()
def diff(
    spec: SpecFile,
    *,
    out: OutOption,
    strict: Strict = False,
    brief: Annotated[
        bool, typer.Option("--brief", help="What it would mean for each node, without the lines.")
    ] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 when something would change.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what `generate` would change, and what that means.

    Each node is told with what it takes to apply the change. Secrets are starred.
    """
    from generator import workspace
    from generator.console import show_json, show_problems
    from generator.diff import differences
    from generator.files import render_files
    from generator.output import opened

    order, warnings = workspace.load_order(spec, (), strict=strict)
    show_problems(warnings)
    with opened(out) as before:
        inputs = workspace.prepare(order, out, before)
        changes = _shown(differences(out, before, render_files(inputs)), lines=not brief and not as_json)
    impacts = workspace.impacts(order.cluster, changes)
    if as_json:
        show_json({**_counts(changes), "nodes": [asdict(impact) for impact in impacts]})
    elif changes.all:
        _tell(out, order.cluster, changes, impacts, "to write")
    raise typer.Exit(1 if exit_code and changes.all else 0)


def _shown(differences: Iterable[Difference], *, lines: bool) -> Changes:
    """Shows the lines of each difference, if they are wanted, and says which files there were."""
    from generator.console import show_diff
    from generator.output import Changes

    paths: dict[str, set[str]] = {"added": set(), "changed": set(), "removed": set()}
    for found in differences:
        kind = "added" if found.old is None else "removed" if found.new is None else "changed"
        paths[kind].add(found.path)
        show_diff(found.lines() if lines else ())
    return Changes(**{kind: frozenset(found) for kind, found in paths.items()})


def register(app: typer.Typer) -> None:
    """Mounts the commands on the program."""
    app.command()(generate)
    app.command()(diff)
