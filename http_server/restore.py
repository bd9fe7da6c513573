"""Knows how an older copy of the store is put back without reviving what has died since: open secrets die with it."""

import shutil
import time
from contextlib import closing
from pathlib import Path

from http_server.clock import HighWaterClock
from http_server.errors import StartError
from http_server.inventory_file import InventoryFile
from http_server.model import AuditEvent, Enrolment, EnrolmentState
from http_server.ports import Transaction
from http_server.private_file import create_private
from http_server.settings import Out
from http_server.store_history import open_sqlite
from http_server.store_sqlite import SqliteStore

SIDE_FILES = ("-wal", "-shm")


def restore(out: Out, source: Path) -> str:
    """Replaces the store by a copy that `backup-store` made; returns what the operator should know.

    Nodes that the copy does not know as enrolled are revoked, because their seeds may have been used since; each needs
    `node rearm`. Bootstrap tokens die. The replaced store is kept beside it.
    """
    nodes = InventoryFile(out.inventory).current.nodes
    prepared = _prepare(source, out)
    aside = _move_aside(out)
    prepared.replace(out.store)
    out.audit_head.unlink(missing_ok=True)
    with closing(open_sqlite(out.store, out.audit_head, HighWaterClock().now)) as store:
        _check_owner(store, out)
        revoked = store.transact(
            lambda transaction: _kill_open(transaction, {name: n.generation for name, n in nodes.items()})
        )
    kept = f"the replaced store is {aside}; " if aside else ""
    again = (
        f"these must be re-armed before they may enrol: {', '.join(revoked)}"
        if revoked
        else "every node was enrolled in it"
    )
    return f"restored {source}; {kept}{again}. Revoke again whatever you revoked since the copy was made."


def _prepare(source: Path, out: Out) -> Path:
    """A checked private copy beside the store; nothing is replaced while anything is wrong with it."""
    copy = out.store.with_suffix(".restoring")
    copy.unlink(missing_ok=True)
    try:
        create_private(copy, source.read_bytes())
    except OSError as error:
        raise StartError(f"{source} cannot be read: {error.strerror}", "name a file that backup-store wrote") from None
    try:
        with closing(open_sqlite(copy, copy.with_suffix(".head"), time.time)) as store:
            _check_owner(store, out)
    except StartError:
        copy.unlink()
        raise
    return copy


def _check_owner(store: SqliteStore, out: Out) -> None:
    cluster, owner = InventoryFile(out.inventory).current.cluster, store.read(lambda view: view.cluster())
    if owner != cluster:
        raise StartError(
            f"the copy belongs to cluster {owner!r}, the inventory to {cluster!r}", "name a copy of this cluster"
        )


def _move_aside(out: Out) -> Path | None:
    """The present store with its write-ahead log, under a name that says when."""
    if not out.store.exists():
        return None
    aside = out.store.with_name(f"{out.store.name}.{time.strftime('%Y%m%dT%H%M%S')}")
    for suffix in ("", *SIDE_FILES):
        part = out.store.with_name(out.store.name + suffix)
        if part.exists():
            shutil.move(part, aside.with_name(aside.name + suffix))
    return aside


def _kill_open(transaction: Transaction, generations: dict[str, int]) -> list[str]:
    """Revokes every enrolment that is not bound, and kills every token; one audit row tells."""
    revoked = []
    for name, generation in generations.items():
        held = transaction.enrolment(name)
        if not (held and held.generation == generation and held.live):
            transaction.put_enrolment(Enrolment(name, generation, EnrolmentState.REVOKED))
            revoked.append(name)
    for token in transaction.tokens():
        transaction.drop_token(token.id)
    transaction.put_slot(None)
    detail = {"revoked": ", ".join(revoked)}
    transaction.record(AuditEvent("store-restored", actor="operator", outcome="alarm", detail=detail))
    return revoked
