"""Knows the commands `kubeseed backup ...`. All but `now` read OUT alone: they work while no coordinator runs."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from http_server.cli import ENVIRONMENT, OutFolder, order, told
from http_server.errors import StartError
from http_server.private_file import FILE, FOLDER
from http_server.settings import Out

if TYPE_CHECKING:  # its models are imported when a command runs, so that `--help` stays quick
    from http_server.backups import Backup, Backups

OneId = Annotated[str | None, typer.Argument(metavar="ID", help="Default: the newest.", show_default=False)]
Target = Annotated[
    Path, typer.Option("--to", metavar="FOLDER", help="Where to put the folder ID.", show_default=False, readable=False)
]


def _backups(out: Path) -> Backups:
    from http_server.backups import Backups

    if not out.is_dir():
        raise StartError(f"{out} is not a folder", "kubeseed generate SPEC -o OUT writes it")
    return Backups(Out(out).backups)


def _one(out: Path, wanted: str | None) -> Backup:
    """The backup of this id, or the newest; StartError names those that are there."""
    found = {backup.manifest.id: backup for backup in _backups(out).all()}
    if not found:
        raise StartError(f"{out} holds no backup", f"kubeseed backup now {out}")
    name = wanted or max(found)
    if name not in found:
        raise StartError(f"there is no backup {name}", f"kubeseed backup list {out} shows those that are there")
    return found[name]


def list_backups(out: OutFolder, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List the backups, the newest first."""
    with told():
        backups = _backups(out).all()
    if as_json:
        typer.echo(json.dumps([_data(backup) for backup in backups], indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("id", "age", "node", "revision", "keys", "size", "etcd", "encrypted")
    for backup in backups:
        one = backup.manifest
        age, sealed = describe_age(time.time() - backup.taken), "yes" if one.encryptedTo else "no"
        table.add_row(
            one.id, age, one.node, str(one.revision), str(one.totalKey), f"{one.size:,}", one.etcdVersion, sealed
        )
    Console().print(table if backups else f"{out} holds no backup")


def _data(backup: Backup) -> dict[str, object]:
    one = backup.manifest
    return {"id": one.id, "taken": backup.taken, "received": backup.received, "node": one.node, "bytes": one.size,
            "revision": one.revision, "totalKey": one.totalKey, "encrypted": bool(one.encryptedTo)}  # fmt: skip


def describe_age(seconds: float) -> str:
    """Days, hours or minutes, whichever says most."""
    for length, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {word}"
    return f"{max(0, seconds):.0f} s"


def show(out: OutFolder, wanted: OneId = None) -> None:
    """Print what a backup is of, and where its files lie."""
    with told():
        backup = _one(out, wanted)
    typer.echo(backup.manifest.model_dump_json(indent=1))
    typer.echo(str(backup.folder))


def verify(out: OutFolder, wanted: OneId = None) -> None:
    """Read one backup, or all, from the disk again. Exit status 3 when anything is damaged."""
    with told():
        backups = _backups(out)
        names = (wanted,) if wanted else backups.ids()
        if not names:
            raise StartError(f"{out} holds no backup", f"kubeseed backup now {out}")
    verdicts = [_judge(backups, name) for name in names]
    if any(verdicts):
        raise typer.Exit(ENVIRONMENT)


def _judge(backups: Backups, name: str) -> tuple[str, ...]:
    """Prints the verdict; what is wrong."""
    wrong = backups.verify(name)
    for line in wrong or (f"{name} is whole",):
        typer.echo(line, err=bool(wrong))
    return wrong


def fetch(out: OutFolder, target: Target, wanted: OneId = None) -> None:
    """Copy a backup's folder. It is verified before and after, ready for `kubeseed-restore` on the nodes."""
    from http_server.backups import problems

    with told():
        backup = _one(out, wanted)
        name = backup.manifest.id
        if wrong := problems(backup.folder):
            raise StartError("; ".join(wrong), f"kubeseed backup list {out} shows the others")
        copied = target / name
        if copied.exists():
            raise StartError(f"{copied} exists already", "name another folder")
        copied.mkdir(FOLDER, parents=True)
        for path in backup.folder.iterdir():
            (copied / path.name).touch(FILE)
            shutil.copyfile(path, copied / path.name)
        if wrong := problems(copied):
            raise StartError("; ".join(wrong), "the disk does not give back what was written to it")
    typer.echo(str(copied))


def now(out: OutFolder) -> None:
    """Ask the cluster for a backup. A member takes it within a quarter of an hour."""
    order(out, "/backups/now")


def register(app: typer.Typer) -> None:
    """Mounts the commands on the program."""
    backup = typer.Typer(help="The backups of etcd and of the cluster's keys.", no_args_is_help=True)
    for name, command in (("list", list_backups), ("show", show), ("verify", verify), ("fetch", fetch), ("now", now)):
        backup.command(name)(command)
    app.add_typer(backup, name="backup")
