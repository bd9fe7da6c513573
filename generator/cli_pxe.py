"""Knows the commands `kubeseed pxe run`, `unit` and `doctor`. Their work is imported when they run."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from generator.cli_spec import OutFolder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from generator.pxe.doctor import Diagnosis

LogFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Default: the last day of the journal.", readable=False)
]
LIGHT = {"ok": "green", "wait": "cyan", "LOOK": "bold red"}


def run(out: OutFolder) -> None:
    """Run the boot server until Ctrl-C. dnsmasq does DHCP and TFTP as the spec says. Run it beside `kubeseed serve`."""
    from generator.pxe.server import become_dnsmasq, check_host, configuration, prepare

    check_host()
    conf = configuration(out)
    for name in prepare(conf):
        typer.echo(f"note: {name} is not there; machines that need it cannot boot (docs/pxe.md)", err=True)
    become_dnsmasq(conf)


def unit(out: OutFolder) -> None:
    """Print a systemd unit for the boot server. Put it into /etc/systemd/system/kubeseed-pxe.service."""
    from generator.pxe.server import unit as written

    program = shutil.which("kubeseed") or sys.argv[0]
    typer.echo(written(out, Path(program).resolve()), nl=False)


def doctor(
    out: OutFolder,
    *,
    dnsmasq_log: LogFile = None,
    coordinator_log: LogFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Say how far each machine came, and what stopped it.

    It reads dnsmasq's log, the coordinator's and the coordinator's state.
    """
    from generator.pxe.doctor import diagnose
    from generator.pxe.log import BOOT_SERVER, COORDINATOR, read_inventory, read_log
    from generator.pxe.trace import read_traces
    from http_server.table_boot import CAUSES

    inventory = read_inventory(out)
    status, absence = _status(out)
    traces = read_traces(read_log(dnsmasq_log, BOOT_SERVER), read_log(coordinator_log, COORDINATOR))
    found = list(diagnose(traces, inventory, status, CAUSES, str(out)))
    notes = [*([absence] if absence else []), *(f"dnsmasq cannot work: {fault}" for fault in traces.faults[-3:])]
    if not traces.by_mac:
        notes.append("the logs name no machine; name their files: --dnsmasq-log, --coordinator-log")
    _show(found, notes, as_json=as_json)


def _status(out: Path) -> "tuple[Mapping[str, Any] | None, str]":
    """What the coordinator says, or why it says nothing."""
    from http_server.admin import Operator, RefusedError
    from http_server.errors import StartError
    from http_server.settings import Out

    try:
        return Operator(Out(out)).get("/status"), ""
    except (StartError, RefusedError) as error:
        return None, str(error).splitlines()[0]


def _show(found: "Sequence[Diagnosis]", notes: "Sequence[str]", *, as_json: bool) -> None:
    from dataclasses import asdict

    from generator.console import show_json, show_table

    if as_json:
        show_json({"notes": notes, "machines": [asdict(diagnosis) for diagnosis in found]})
        return
    for note in notes:
        typer.echo(f"note: {note}")
    rows = [(each.verdict, each.mac or "-", each.node or "-", each.reached, each.advice) for each in found]
    show_table(("", "mac", "node", "how far", "what now"), rows, LIGHT)


def register(app: typer.Typer) -> None:
    """Mounts the commands on the program."""
    pxe = typer.Typer(help="Booting machines over the network (needs Linux).", no_args_is_help=True)
    pxe.command()(run)
    pxe.command()(unit)
    pxe.command()(doctor)
    app.add_typer(pxe, name="pxe")
