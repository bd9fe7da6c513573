"""Knows how the cluster's state is shown to a person. Text that comes from machines is escaped before it is shown."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from http_server.table_boot import boot_lines

COLOURS = {
    "done": "green", "skipped": "dim", "started": "cyan", "failed": "yellow", "stopped": "red",
    "bound": "green", "closed": "green", "pending": "magenta", "revoked": "red", "issued": "dim",
}  # fmt: skip
# More than any table of stages takes: what it would like to be is measured within this.
_ANY_WIDTH = 1000


def status_view(status: Mapping[str, Any], out: str) -> RenderableType:
    """The whole page: the init, nodes by stages with seconds, and what the operator should type."""
    init = status["init"]
    head = f"cluster {status['cluster']}: init of epoch {init['epoch']} is {init['state']}"
    slot = f", {status['slot']['node']} is joining" if status["slot"] else ""
    return Group(
        Text(head + slot),
        _Nodes(status),
        *_backup(status),
        *_restore(status, out),
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


def _restore(status: Mapping[str, Any], out: str) -> Iterator[Text]:
    """How far an armed restore is: every node of role etcd has to do it, every master where there is none."""
    order = status["restore"]
    if order is None:
        return
    roles = {name: node["roles"] for name, node in status["nodes"].items()}
    etcd = [name for name in roles if "etcd" in roles[name]] or [name for name in roles if "master" in roles[name]]
    late = [name for name in etcd if name not in order["done"]]
    head = f"restore of {order['backup']}, armed {(time.time() - order['at']) / 60:.0f} min ago: "
    if late:
        yield Text(f"{head}done by {', '.join(order['done']) or 'none'}, waiting for {', '.join(late)}", "yellow")
    else:
        yield Text(f"{head}done by all. Take the order back: kubeseed restore {out} --disarm", "green")


class _Nodes:
    """Nodes by stages with seconds: a column for each stage where they fit side by side, else all in one that wraps."""

    def __init__(self, status: Mapping[str, Any]) -> None:
        self._nodes: Mapping[str, Any] = status["nodes"]
        reported = {stage for node in self._nodes.values() for stage in node["stages"]}
        self._stages = [stage for stage in status["stages"] if stage in reported]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        wide = self._wide()
        fits = Measurement.get(console, options.update(max_width=_ANY_WIDTH), wide).maximum <= options.max_width
        yield wide if fits else self._narrow()

    def _wide(self) -> Table:
        table = Table("node", "roles", "enrolment", *self._stages)
        for name, node in self._nodes.items():
            table.add_row(*_head(name, node), *(_cell(node["stages"].get(stage)) for stage in self._stages))
        return table

    def _narrow(self) -> Table:
        table = Table("node", "roles", "enrolment", "stages")
        for column in table.columns[:3]:
            column.no_wrap = True
        for name, node in self._nodes.items():
            reported = (stage for stage in self._stages if stage in node["stages"])
            told = (Text.assemble(f"{stage} ", _cell(node["stages"][stage])) for stage in reported)
            table.add_row(*_head(name, node), Text(", ").join(told))
        return table


def _head(name: str, node: Mapping[str, Any]) -> tuple[Text, Text, Text]:
    return Text(name), Text(",".join(node["roles"])), _coloured(node["state"], node["state"])


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
