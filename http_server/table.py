"""Knows how the cluster's state is shown to a person. Text that comes from machines is escaped before it is shown."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from http_server.table_boot import boot_lines

COLOURS = {
    "done": "green", "skipped": "dim", "started": "cyan", "failed": "yellow", "stopped": "red",
    "bound": "green", "closed": "green", "pending": "magenta", "revoked": "red", "issued": "dim",
}  # fmt: skip


def status_view(status: Mapping[str, Any], out: str) -> RenderableType:
    """The whole page: the init, nodes by stages with seconds, and what the operator should type."""
    init = status["init"]
    head = f"cluster {status['cluster']}: init of epoch {init['epoch']} is {init['state']}"
    slot = f", {status['slot']['node']} is joining" if status["slot"] else ""
    return Group(
        Text(head + slot),
        _nodes(status),
        *_backup(status),
        *map(Text, (*advice(status, out), *boot_lines(status, out))),
    )


def _backup(status: Mapping[str, Any]) -> Iterator[Text]:
    backup = status["backup"]
    if backup["id"]:
        size = f"{backup['bytes']:,} bytes, {backup['count']} in all"
        line = f"newest backup {backup['id']}, {backup['age'] / 3600:.1f} h old, {size}"
        yield Text(line + (": TOO OLD" if backup["stale"] else ""), "red" if backup["stale"] else "")
    elif backup["stale"] and status["init"]["state"] == "complete":
        yield Text("no backup has arrived yet", "red")


def _nodes(status: Mapping[str, Any]) -> Table:
    shown = [stage for stage in status["stages"] if any(stage in node["stages"] for node in status["nodes"].values())]
    table = Table("node", "roles", "enrolment", *shown)
    for name, node in status["nodes"].items():
        cells = (_cell(node["stages"].get(stage)) for stage in shown)
        table.add_row(escape(name), escape(",".join(node["roles"])), _coloured(node["state"], node["state"]), *cells)
    return table


def _cell(stage: Mapping[str, Any] | None) -> Text:
    if stage is None:
        return Text("")
    tries = f" x{stage['attempts']}" if stage["attempts"] > 1 else ""
    seconds = time.time() - stage["at"] if stage["state"] == "started" else stage["seconds"]
    words = {"done": "", "skipped": "skipped", "started": "... ", "failed": "failed ", "stopped": "STOPPED "}
    number = "" if stage["state"] == "skipped" else f"{max(0, seconds):.0f}s"
    return _coloured(f"{words[stage['state']]}{number}{tries}", stage["state"])


def _coloured(text: str, state: str) -> Text:
    return Text(text, COLOURS.get(state, ""))


def advice(status: Mapping[str, Any], out: str) -> Iterator[str]:
    """What waits for the operator: pending nodes with the command to type, stages in trouble with their last words."""
    for name, node in status["nodes"].items():
        if node["state"] == "pending":
            facts = node["facts"]
            machine = ", ".join(part for part in (facts["serial"], facts["product_uuid"], *facts["macs"]) if part)
            yield f"\n{name} waits for approval, fingerprint {node['fingerprint']} ({machine})"
            yield "  compare it with the machine's console, then type:"
            yield f"  kubeseed approve {out} {name} {node['fingerprint']}"
        for stage, word in node["stages"].items():
            if word["state"] in {"stopped", "failed"} and word["log"]:
                yield f"\n{name} {stage} {word['state']}:"
                yield from (f"  {line}" for line in word["log"].strip().splitlines()[-5:])


def event_line(row: Mapping[str, Any]) -> str:
    """One audit row: number, time, what, which node, who, and the details."""
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["at"]))
    detail = " ".join(f"{name}={value}" for name, value in sorted(row["detail"].items()))
    outcome = "" if row["outcome"] == "ok" else f" {row['outcome'].upper()}"
    actor = row["actor"] or row["peer"] or "-"
    return f"{row['seq']:>6} {moment} {row['action']}{outcome} {row['node'] or '-'} by {actor} {detail}".rstrip()
