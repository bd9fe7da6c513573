"""Knows the command `kubeseed restore`: it judges a backup, and arms its restore on every member of etcd."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from http_server.cli import OutFolder, order, told
from http_server.errors import StartError
from http_server.settings import Out

if TYPE_CHECKING:  # its models are imported when the command runs, so that `--help` stays quick
    from http_server.backups import Backup


def restore(
    out: OutFolder,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="ID", help="The backup; `newest` for the newest.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Although etcd is alive and newer than the backup.")] = False,
    members: Annotated[
        str, typer.Option(metavar="LIST", help="NAME=PEER-URL,... when they are not those of the backup.")
    ] = "",
    content_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="What key.cms of an encrypted backup holds.", show_default=False, readable=False
        ),
    ] = None,
    reinstalled: Annotated[
        bool, typer.Option("--reinstalled", help="All masters are blank: the init starts again with the same keys.")
    ] = False,
    disarm: Annotated[bool, typer.Option("--disarm", help="Take the order back.")] = False,
) -> None:
    """Restore the cluster from a backup. Every etcd member does it by itself within half an hour."""
    if disarm:
        order(out, "/restore/disarm")
        return
    if not source:
        raise typer.BadParameter(f"say which backup: --from ID; kubeseed backup list {out} shows them")
    with told():
        backup = _judged(out, source)
        key = _content_key(content_key, backup)
    name = backup.manifest.id
    flags = {"force": str(int(force)), "reopen": str(int(reinstalled))}
    order(out, "/restore", backup=name, members=members, key=key, **flags)


def _judged(out: Path, source: str) -> Backup:
    """A backup that was read again and is whole."""
    from http_server.backups import Backups, problems

    backups = Backups(Out(out).backups)
    found = {backup.manifest.id: backup for backup in backups.all()}
    name = max(found, default="") if source == "newest" else source
    if name not in found:
        raise StartError(
            f"there is no backup {name or 'yet'}", f"kubeseed backup list {out} shows those that are there"
        )
    if wrong := problems(found[name].folder):
        raise StartError("; ".join(wrong), f"choose another: kubeseed backup list {out}")
    return found[name]


def _content_key(file: Path | None, backup: Backup) -> str:
    """The key in the file, once it has opened the backup; never shown."""
    from http_server.content_key import opens

    if file is None:
        return ""
    try:
        key = file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise StartError(f"{file} cannot be read as text", "make it as docs/backup.md says") from None
    sealed, manifest = backup.folder / "snapshot.db.enc", backup.manifest
    if manifest.encryptedTo and not opens(sealed, key, manifest.snapshotSha256):
        raise StartError(f"{file} does not open {manifest.id}", "open the key.cms of this very backup: docs/backup.md")
    return key


def register(app: typer.Typer) -> None:
    """Mounts the command on the program."""
    app.command()(restore)
