"""Knows the coordinator's commands. Heavy modules are imported inside them, so that `kubeseed --help` stays quick."""

import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from http_server.errors import StartError
from http_server.settings import Listen, Out, Settings, parse_listen, parse_local, parse_store

ENVIRONMENT = 3
USAGE = 2
PIPE_WIDTH = 300

OutFolder = Annotated[
    Path, typer.Argument(metavar="OUT", help="The folder that `generate` wrote.", show_default=False, readable=False)
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="STORE",
        help="sqlite:PATH, or etcd:https://HOST:PORT,... that coordinators share. Default: OUT/state/coordinator.db.",
        show_default=False,
    ),
]
NodeName = Annotated[str, typer.Argument(metavar="NAME", help="A node of the cluster.", show_default=False)]
BOOT = "0.0.0.0:8080"
IMAGES, TFTP = Path("/var/lib/kubeseed/images"), Path("/var/lib/kubeseed/tftp")


class LogForm(StrEnum):
    """How `serve` writes its log."""

    TEXT = "text"
    JSON = "json"


@contextmanager
def told() -> Iterator[None]:
    """Turns what a person can mend into one sentence, what to type, and exit status 3."""
    from http_server.admin import RefusedError

    try:
        yield
    except (StartError, RefusedError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(ENVIRONMENT) from None


def _listen(text: str | None, parse: Callable[[str], Listen] = parse_listen) -> Listen | None:
    try:
        return parse(text) if text else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def serve(
    out: OutFolder,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="HTTPS for nodes. Default: the port of the spec's coordinator.url on all addresses.",
        ),
    ] = None,
    boot_listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Plain HTTP for booting machines: public things only.")
    ] = BOOT,
    log: Annotated[LogForm, typer.Option(help="Lines for people, or JSON.")] = LogForm.TEXT,
    store: StoreOption = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that answer nodes; one for each core.")] = 1,
    images: Annotated[
        Path, typer.Option(metavar="DIR", help="Images for network boot: `kubeseed image`.", readable=False)
    ] = IMAGES,
    tftp: Annotated[
        Path, typer.Option(metavar="DIR", help="iPXE's files for network boot: `kubeseed pxe`.", readable=False)
    ] = TFTP,
    ui: Annotated[
        str | None,
        typer.Option(metavar="127.0.0.1:PORT", help="A read-only status page, and /metrics, on this machine alone."),
    ] = None,
) -> None:
    """Run the coordinator until Ctrl-C. It hands each node its join material."""
    from http_server.coordinator import serve as run
    from http_server.request_log import start_logging

    settings = Settings(
        out_of(out, store),
        _listen(listen),
        _listen(boot_listen) or Settings(Out(out)).boot_listen,
        log is LogForm.JSON,
        images,
        tftp,
        workers=workers,
        ui_listen=_listen(ui, parse_local),
    )
    with told():
        start_logging(as_json=settings.json_log)
        run(settings)


def out_of(out: Path, store: str | None) -> Out:
    """OUT with the store that was named, or its own."""
    try:
        return Out(out, parse_store(store) if store else None)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def unit(
    out: OutFolder,
    options: Annotated[
        list[str] | None, typer.Argument(metavar="[-- OPTIONS]", help="Options of `serve`.", show_default=False)
    ] = None,
    user: Annotated[str, typer.Option(metavar="NAME", help="Whose process it is; OUT has to be theirs.")] = "kubeseed",
    keyring: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Hand over keyring.key from here, not from OUT; a *.cred is decrypted.", readable=False
        ),
    ] = None,
) -> None:
    """Print a systemd unit that serves OUT. It has no more rights than that takes."""
    from http_server.inventory_file import InventoryFile
    from http_server.unit import systemd_unit

    with told():
        port = InventoryFile(Out(out).inventory).current.port
    given = tuple(options or ())
    ports = [port, *(int(word.rpartition(":")[2]) for word in given if re.fullmatch(r".*:[0-9]{1,5}", word))]
    program = Path(shutil.which("kubeseed") or sys.argv[0]).absolute()
    typer.echo(systemd_unit(program, out.absolute(), given, user, keyring and keyring.absolute(), ports), nl=False)


def status(
    out: OutFolder,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again every second until Ctrl-C.")] = False,
) -> None:
    """Show nodes by stages, and what waits for you."""
    from http_server.admin import Operator

    operator = Operator(Out(out))
    with told():
        if as_json:
            import json

            typer.echo(json.dumps(operator.get("/status"), indent=1))
        else:
            _show(lambda: operator.get("/status"), shlex.quote(str(out)), watch=watch)


def _show(look: Callable[[], dict[str, object]], out: str, *, watch: bool) -> None:
    from rich.console import Console
    from rich.live import Live

    from http_server.table import status_view

    if not watch:
        piped = not sys.stdout.isatty()
        # A pipe has no width, unless COLUMNS, which rich reads itself, gives it one.
        width = PIPE_WIDTH if piped and "COLUMNS" not in os.environ else None
        Console(soft_wrap=piped, width=width).print(status_view(look(), out))
        return
    with Live(status_view(look(), out), refresh_per_second=1) as live:
        try:
            while True:
                time.sleep(1)
                live.update(status_view(look(), out))
        except KeyboardInterrupt:
            return


def events(
    out: OutFolder,
    after: Annotated[int, typer.Option(min=0, help="Only rows above this number.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more until Ctrl-C.")] = False,
) -> None:
    """Print what happened: enrolments, grants, refusals, alarms."""
    from http_server.admin import Operator
    from http_server.table import event_line

    operator = Operator(Out(out))
    with told():
        try:
            while True:
                rows = operator.get(f"/events?after={after}&limit=1000")["events"]
                for row in rows:
                    typer.echo(event_line(row))
                    after = row["seq"]
                if not rows and not follow:
                    return
                if not rows:
                    time.sleep(1)
        except KeyboardInterrupt:
            return


def approve(
    out: OutFolder,
    node: NodeName,
    fingerprint: Annotated[
        str | None, typer.Argument(metavar="FINGERPRINT", help="As the machine's console shows it.", show_default=False)
    ] = None,
    option: Annotated[
        str | None, typer.Option("--fingerprint", metavar="FINGERPRINT", help="The same.", show_default=False)
    ] = None,
) -> None:
    """Let a pending node in. Compare its fingerprint with its console first."""
    chosen = fingerprint or option
    if not chosen:
        raise typer.BadParameter(
            f"give the fingerprint that the console of {node} shows: kubeseed approve {out} {node} FINGERPRINT"
        )
    order(out, f"/nodes/{_plain(node)}/approve", fingerprint=chosen)


def _plain(node: str) -> str:
    from http_server.form import parse_node

    try:
        return parse_node(node)
    except ValueError:
        raise typer.BadParameter(f"{node!r} is not a node name") from None


def order(out: Path, path: str, **fields: str) -> None:
    """Tells the coordinator of OUT, and prints its one line."""
    from http_server.admin import Operator

    with told():
        typer.echo(Operator(Out(out)).post(path, **fields))


def revoke(out: OutFolder, node: NodeName) -> None:
    """Refuse the node's credential and seed from now on."""
    order(out, f"/nodes/{_plain(node)}/revoke")


def rearm(out: OutFolder, node: NodeName) -> None:
    """Let the node enrol again, with a new credential. The one it had is dead."""
    order(out, f"/nodes/{_plain(node)}/rearm")


def reinstall(
    out: OutFolder,
    node: NodeName,
    window: Annotated[int, typer.Option("--minutes", min=1, max=7 * 1440, help="How long the order stands.")] = 60,
) -> None:
    """Install the node anew, once, at its next network boot. Everything on its disk is lost."""
    order(out, f"/nodes/{_plain(node)}/reinstall", seconds=str(window * 60))


def reassign_init(out: OutFolder) -> None:
    """Start the init again with new authorities. Only before the cluster exists."""
    order(out, "/init/reassign")


def audit_verify(out: OutFolder, store: StoreOption = None) -> None:
    """Check that no audit row was changed, removed or moved."""
    from http_server.upkeep import check_audit

    with told():
        typer.echo(check_audit(out_of(out, store)))


def audit_tail(
    out: OutFolder,
    count: Annotated[int, typer.Option("-n", min=1, help="How many rows.")] = 20,
    store: StoreOption = None,
) -> None:
    """Print the newest audit rows, whether the coordinator runs or not."""
    from http_server.service.operator import row_data
    from http_server.table import event_line
    from http_server.upkeep import newest_events

    with told():
        for row in newest_events(out_of(out, store), count):
            typer.echo(event_line(row_data(row)))


class Door(StrEnum):
    """The coordinator's listeners, as the route table names them."""

    TLS = "tls"
    PLAIN = "plain"
    SOCKET = "socket"
    UI = "ui"


def openapi(
    listener: Annotated[
        Door, typer.Option(help="Nodes, booting machines, the operator, or the status page.")
    ] = Door.TLS,
) -> None:
    """Print the coordinator's routes as an OpenAPI document."""
    import json

    from http_server.openapi import document
    from http_server.routes import Listener

    typer.echo(json.dumps(document(Listener(listener)), indent=1))


def register(app: typer.Typer) -> None:
    """Mounts the coordinator's commands on the program."""
    for command in (serve, unit, status, events, approve, reassign_init, openapi):
        app.command()(command)
    node = typer.Typer(help="Decide about one node.", no_args_is_help=True)
    node.command()(approve)
    node.command()(revoke)
    node.command()(rearm)
    node.command()(reinstall)
    app.add_typer(node, name="node")
    audit = typer.Typer(help="The coordinator's audit trail.", no_args_is_help=True)
    audit.command("verify")(audit_verify)
    audit.command("tail")(audit_tail)
    app.add_typer(audit, name="audit")
