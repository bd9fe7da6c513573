"""Knows when a store may be trusted: a sound store, an unbroken audit chain, and no older than what is remembered."""

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from http_server.audit_chain import ChainError, verify
from http_server.errors import StartError
from http_server.etcd import Etcd
from http_server.model import AuditRow
from http_server.ports import Store, StoreUnavailableError
from http_server.private_file import check_private
from http_server.settings import EtcdAddress, Out
from http_server.store_etcd import EtcdStore
from http_server.store_sqlite import SqliteStore, check_file, create

ETCD_FILES = ("ca.crt", "client.crt", "client.key")


def open_store(out: Out, cluster: str, now: Callable[[], float], head: Path | None = None) -> Store:
    """The store that the coordinator of this cluster keeps, or shares. `head` replaces what is remembered of it."""
    if out.etcd:
        return open_etcd(out.etcd, out.etcd_files, cluster, head or out.audit_head, now)
    return open_sqlite(out.store, head or out.audit_head, now)


def open_etcd(address: EtcdAddress, files: Path, cluster: str, head: Path, now: Callable[[], float]) -> EtcdStore:
    """The shared store of a cluster. A rewritten or rolled-back one is refused."""
    for name in ETCD_FILES:
        if not (files / name).exists():
            raise StartError(f"{files / name} is missing", f"put etcd's {', '.join(ETCD_FILES)} into {files}")
    check_private(files)
    check_private(files / "client.key")
    store = EtcdStore(Etcd(address, files), address.prefix or f"/kubeseed/{cluster}", head, now)
    try:
        _check_history(store, head)
    except StoreUnavailableError as error:
        store.close()
        raise StartError(f"the shared store does not answer: {error}", "see that etcd has a majority") from None
    except StartError:
        store.close()
        raise
    return store


def open_sqlite(path: Path, head: Path, now: Callable[[], float]) -> SqliteStore:
    """The store in `path`, made when it is new. Refuses a damaged, foreign, rewritten or rolled-back one."""
    if not path.exists():
        create(path)
    check_file(path)
    store = SqliteStore(path, head, now)
    try:
        _check_history(store, head)
    except (StartError, StoreUnavailableError):
        store.close()
        raise
    return store


def _check_history(store: Store, head: Path) -> None:
    """The audit chain holds, and it still contains the row that the head file remembers."""
    seq, digest = _remembered(head)  # first: while a coordinator runs, both grow
    try:
        last = verify(all_events(store))
    except ChainError as error:
        raise StartError(
            f"the audit rows were tampered with: {error}", "find out who; kubeseed audit verify OUT"
        ) from None
    if seq > (last.seq if last else 0):
        raise StartError(
            f"an old copy of the store was put back: it ends before row {seq}, which {head} remembers",
            "secrets used since would work again; to use it all the same: kubeseed restore-store OUT FILE",
        )
    if seq and store.events(seq - 1, 1)[0].hash != digest:
        raise StartError(
            f"row {seq} of the audit is not the one that {head} remembers", "the store was rewritten; restore a backup"
        )


def _remembered(head: Path) -> tuple[int, str]:
    """The newest row when the coordinator last wrote one; nothing when the file is missing."""
    if not head.exists():
        return 0, ""
    seq, _, digest = head.read_text().strip().partition(" ")
    return (int(seq), digest) if seq.isdigit() else (0, "")


def all_events(store: Store) -> Iterator[AuditRow]:
    """Every audit row, oldest first, a thousand at a time."""
    after = 0
    while rows := store.events(after, 1000):
        yield from rows
        after = rows[-1].seq


def newest(store: Store, count: int) -> tuple[AuditRow, ...]:
    """The newest audit rows, oldest of them first."""
    return tuple(deque(all_events(store), count))
