"""Knows how an older copy of the store is put back without reviving what has died since: open secrets die with it."""

import shutil
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from http_server.boot import UNDER_WAY, BootState
from http_server.clock import HighWaterClock
from http_server.errors import StartError
from http_server.inventory_file import InventoryFile
from http_server.keyring import AesKeyring, KeyringError, load_keyring_keys
from http_server.model import AuditEvent, Enrolment, EnrolmentState
from http_server.ports import Transaction
from http_server.private_file import create_private
from http_server.settings import Out
from http_server.store_copy import is_sealed, opened_copy
from http_server.store_history import open_sqlite, open_store
from http_server.store_sqlite import SqliteStore

TOGETHER = 50  # nodes in one transaction of a shared store
SIDE_FILES = ("-wal", "-shm")


def restore(out: Out, source: Path) -> str:
    """Replaces the store by a copy: what `backup-store` made, or a backup's store.sealed; returns what to know of it.

    A new epoch of the store begins: nodes that the copy does not know as enrolled are revoked, because their seeds may
    have been used since; each needs `node rearm`. Bootstrap tokens die, and so do installations that were ordered:
    their machines may be part of the cluster by now. The replaced store is kept beside it.
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
    return f"restored {source}; {kept}{_again(revoked)}. Revoke again whatever you revoked since the copy was made."


def accept(out: Out) -> str:
    """Takes a shared store as it is, after its etcd was put back, and kills what is open in it, as `restore` does.

    The former memory of the audit is replaced last, so that a stopped command has to be repeated.
    """
    inventory = InventoryFile(out.inventory).current
    fresh = out.audit_head.with_name("audit.head.accepted")
    fresh.unlink(missing_ok=True)
    generations = list({name: node.generation for name, node in inventory.nodes.items()}.items())
    revoked: list[str] = []
    with closing(open_store(out, inventory.cluster, HighWaterClock().now, head=fresh)) as store:
        for start in range(0, max(1, len(generations)), TOGETHER):
            chunk = dict(generations[start : start + TOGETHER])
            revoked += store.transact(lambda transaction, chunk=chunk: _kill_open(transaction, chunk))  # type: ignore[misc]
    fresh.replace(out.audit_head)
    return f"accepted the store as it is; {_again(revoked)}. Revoke again whatever you revoked since it was copied."


def _again(revoked: list[str]) -> str:
    if not revoked:
        return "every node was enrolled in it"
    return f"these must be re-armed before they may enrol: {', '.join(revoked)}"


def _prepare(source: Path, out: Out) -> Path:
    """A checked private copy beside the store; nothing is replaced while anything is wrong with it."""
    copy = out.store.with_suffix(".restoring")
    copy.unlink(missing_ok=True)
    try:
        create_private(copy, _plain(source.read_bytes(), source, out))
    except OSError as error:
        wanted = "name a file that backup-store wrote, or the store.sealed of a backup"
        raise StartError(f"{source} cannot be read: {error.strerror}", wanted) from None
    try:
        with closing(open_sqlite(copy, copy.with_suffix(".head"), time.time)) as store:
            _check_owner(store, out)
    except StartError:
        copy.unlink()
        raise
    return copy


def _plain(data: bytes, source: Path, out: Out) -> bytes:
    """The store's own bytes; what a backup carries is sealed with the keyring's key."""
    if not is_sealed(data):
        return data
    keys = load_keyring_keys(out.keyring_key, store_is_new=False)
    try:
        return opened_copy(data, AesKeyring(keys, InventoryFile(out.inventory).current.cluster))
    except KeyringError:
        wanted = "put back the keyring.key that was used then, and the OUT of the same cluster"
        raise StartError(f"{source} does not open with {out.keyring_key}", wanted) from None


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
    """Revokes every enrolment that is not bound, kills every token and installation; one audit row tells."""
    revoked = []
    for name, generation in generations.items():
        held = transaction.enrolment(name)
        if not (held and held.generation == generation and held.live):
            transaction.put_enrolment(Enrolment(name, generation, EnrolmentState.REVOKED))
            revoked.append(name)
    for token in transaction.tokens():
        transaction.drop_token(token.id)
    for boot in transaction.boots():
        if boot.state is BootState.ARMED or boot.state in UNDER_WAY:
            transaction.put_boot(replace(boot, state=BootState.INSTALLED, wipe=False, until=0.0, since=0.0))
    transaction.put_slot(None)
    detail = {"revoked": ", ".join(revoked)}
    transaction.record(AuditEvent("store-restored", actor="operator", outcome="alarm", detail=detail))
    return revoked
