"""Knows the commands about the store itself: copies, a new key for the keyring, and what several coordinators share."""

from pathlib import Path
from typing import Annotated

import typer

from http_server.cli import OutFolder, StoreOption, out_of, told
from http_server.settings import Out


def backup_store(
    out: OutFolder,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Must not exist yet.", show_default=False, readable=False)
    ],
) -> None:
    """Copy the store while the coordinator runs. Keys in it stay encrypted: keep OUT/state/keyring.key elsewhere."""
    from http_server.upkeep import backup

    with told():
        typer.echo(backup(Out(out), file))


def restore_store(
    out: OutFolder,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="What backup-store wrote, or store.sealed of a backup; none with --store etcd:.",
            show_default=False,
            readable=False,
        ),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Put a copy of the store back. Seeds that were not used when it was made must be re-armed.

    With --store etcd: put etcd's snapshot back first; this accepts it, and kills what was open in it.
    """
    from http_server.coordinator import alone, check_out
    from http_server.restore import accept, restore

    chosen = out_of(out, store)
    if bool(chosen.etcd) == bool(file):
        raise typer.BadParameter("name the FILE that backup-store wrote, or --store etcd:... and no FILE")
    with told():
        check_out(chosen)
        with alone(chosen):
            typer.echo(restore(chosen, file) if file else accept(chosen))


def rekey(
    out: OutFolder,
    store: StoreOption = None,
    only_prepare: Annotated[
        bool, typer.Option("--prepare", help="Only put a new key beside the old one, to hand it to other coordinators.")
    ] = False,
) -> None:
    """Give the keyring a new key, and seal the store anew. The coordinator of OUT must not run."""
    from http_server.coordinator import alone, check_out
    from http_server.rekey import prepare
    from http_server.upkeep import new_key

    chosen = out_of(out, store)
    with told():
        check_out(chosen)
        with alone(chosen):
            if only_prepare:
                prepare(chosen)
                typer.echo(f"{chosen.keyring_key} holds both keys: copy it to every coordinator and restart each")
            else:
                typer.echo(new_key(chosen))


def push(out: OutFolder, store: StoreOption = None) -> None:
    """Hand OUT to all coordinators that share a store. They take what was generated within a second."""
    from http_server.upkeep import push as lay

    chosen = out_of(out, store)
    if not chosen.etcd:
        raise typer.BadParameter("only a shared store is pushed to: --store etcd:https://HOST:PORT,...")
    with told():
        typer.echo(lay(chosen))


def register(app: typer.Typer) -> None:
    """Mounts the commands on the program."""
    for command in (backup_store, restore_store, rekey, push):
        app.command()(command)
