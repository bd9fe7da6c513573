"""Knows what an operator does to a store beside the coordinator: read its audit, copy it, seal it anew, push to it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from http_server.clock import HighWaterClock
from http_server.coordinator import check_out, shelf_of
from http_server.errors import StartError
from http_server.inventory_file import InventoryFile
from http_server.keyring import AesKeyring, load_keyring_keys
from http_server.model import AuditEvent, AuditRow
from http_server.ports import Store, StoreUnavailableError
from http_server.rekey import rekey
from http_server.settings import Out
from http_server.shelf import note_taken, pack_rooms
from http_server.store_history import newest, open_store
from http_server.store_sqlite import backup_sqlite


@contextmanager
def opened(out: Out) -> Iterator[Store]:
    """The store for a look, with or without a running coordinator; opening checks the whole chain."""
    if not out.etcd and not out.store.exists():
        raise StartError(f"{out.store} is missing: the coordinator never ran here", f"kubeseed serve {out.root}")
    store = open_store(out, _cluster(out), HighWaterClock().now)
    try:
        yield store
    except StoreUnavailableError as error:
        raise StartError(f"the store cannot be used: {error}", "try again") from None
    finally:
        store.close()


def _cluster(out: Out) -> str:
    return InventoryFile(out.inventory).current.cluster


def check_audit(out: Out) -> str:
    """One sentence about a sound audit trail; StartError about any other."""
    with opened(out) as store:
        rows = newest(store, 1)
    return (
        f"{rows[0].seq} audit rows, every one as it was written; the newest hash is {rows[0].hash}"
        if rows
        else "no audit rows"
    )


def newest_events(out: Out, count: int) -> tuple[AuditRow, ...]:
    """The newest audit rows, oldest of them first."""
    with opened(out) as store:
        return newest(store, count)


def backup(out: Out, target: Path) -> str:
    """Copies the store; says what the copy lacks."""
    if out.etcd:
        raise StartError("a shared store is copied by etcd's own means", "etcdctl snapshot save FILE")
    if not out.store.exists():
        raise StartError(f"{out.store} is missing: the coordinator never ran here", f"kubeseed serve {out.root}")
    try:
        backup_sqlite(out.store, target)
    except FileExistsError:
        raise StartError(f"{target} exists already", "name a new file") from None
    except (OSError, sqlite3.Error) as error:
        raise StartError(
            f"the store could not be copied: {error}", "see that the disk has room and try again"
        ) from None
    return f"{target}: keys in it are encrypted, so keep a copy of {out.keyring_key} in another place"


def new_key(out: Out) -> str:
    """Replaces the keyring's key; says what that means for older copies."""
    with opened(out) as store:
        said = rekey(out, store, _cluster(out), shelf_of(store))
    return f"{said}. Copies made before open with the former key only: make a new one now"


def push(out: Out) -> str:
    """Lays OUT into the shared store; says how much that was."""
    check_out(out)
    inventory = InventoryFile(out.inventory).current
    with opened(out) as store:
        shelf = shelf_of(store)
        if shelf is None:
            raise StartError("only a shared store is pushed to", "--store etcd:https://HOST:PORT,...")
        keyring = AesKeyring(load_keyring_keys(out.keyring_key, store_is_new=False), inventory.cluster)
        data = pack_rooms(out.root)
        label = shelf.lay(data, keyring)
        detail = {"sha256": label.sha256, "spec": inventory.specDigest}
        event = AuditEvent("inventory-pushed", actor="operator", detail=detail)
        store.transact(lambda transaction: transaction.record(event))
        note_taken(out, label)
    return f"pushed {len(inventory.nodes)} nodes in {len(data):,} bytes; every coordinator takes them within a second"
