"""Knows how to keep the store in one SQLite file: durable before the answer, one writer, and closed when in doubt."""

import os
import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

from http_server.audit_log import mirror
from http_server.errors import StartError
from http_server.failpoint import reach
from http_server.model import AuditRow
from http_server.ports import StoreUnavailableError, Transaction, View
from http_server.private_file import create_private, replace_private
from http_server.store_batch import Batches, UnrecordedChangeError, Work
from http_server.store_rows import (
    APPLICATION_ID,
    SCHEMA,
    SCHEMA_VERSION,
    SqliteTransaction,
    SqliteView,
    select_events,
    select_last_event,
)

T = TypeVar("T")
BUSY_SECONDS = 5.0


def _connect(path: Path, *, write: bool) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={'rw' if write else 'ro'}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def create(path: Path) -> None:
    """An empty store, 0600 from its first byte; SQLite gives -wal and -shm the same mode."""
    create_private(path, b"")
    with closing(_connect(path, write=True)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        setup = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
        connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} {setup} COMMIT;")


def check_file(path: Path) -> None:
    """Refuses a file that is damaged, foreign or newer than this program."""
    hint = f"put a good copy in its place: kubeseed restore-store OUT FILE; the damaged file is {path}"
    try:
        with closing(_connect(path, write=True)) as connection:
            verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as error:
        verdict, application, version = str(error), APPLICATION_ID, SCHEMA_VERSION
    if verdict != "ok":
        raise StartError(f"the store is damaged ({verdict}); the coordinator does not start on a damaged store", hint)
    if application != APPLICATION_ID:
        raise StartError(f"{path} is not a coordinator's store", hint)
    if version != SCHEMA_VERSION:
        known = f"the store has schema version {version}, this kubeseed knows version {SCHEMA_VERSION}"
        raise StartError(known, "use the kubeseed that wrote it, or a newer one")


class SqliteStore:
    """ports.Store in one file. Each reading has a connection of its own.

    Decisions that wait for the writer at the same time are committed together: each is undone alone when it raises, and
    all become durable with one fsync, so a boot storm does not queue for the disk.
    """

    reads_at_once = True  # readers of a write-ahead log wait for no writer (SQLite, "Write-Ahead Logging")

    def __init__(self, path: Path, head: Path, now: Callable[[], float]) -> None:
        self._path = path
        self._head = head
        self._now = now
        self._idle: deque[sqlite3.Connection] = deque()
        self._writer = _connect(path, write=True)
        self._batches = Batches(self._commit)

    def transact(self, decide: Callable[[Transaction], T]) -> T:
        return self._batches.transact(decide)

    async def transacted(self, decide: Callable[[Transaction], T]) -> T:
        return await self._batches.transacted(decide)

    def _commit(self, batch: list[Work]) -> None:
        """A full disk, a lock held too long or an I/O error: nothing was changed, the caller answers 503."""
        try:
            self._commit_or_undo(batch)
        except sqlite3.Error as error:
            raise StoreUnavailableError(str(error)) from error

    def _commit_or_undo(self, batch: list[Work]) -> None:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            rows: list[AuditRow] = []
            for work in batch:
                rows += self._decide(work, rows[-1] if rows else None)
            reach("before-commit")
            self._writer.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        if rows:
            with suppress(OSError):  # an older head is harmless: it only remembers less
                replace_private(self._head, f"{rows[-1].seq} {rows[-1].hash}\n".encode())
        mirror(rows)
        reach("after-commit")

    def _decide(self, work: Work, last: AuditRow | None) -> list[AuditRow]:
        """Runs one decision of a batch. What it raises undoes this one; an error of SQLite's undoes them all."""
        self._writer.execute("SAVEPOINT decision")
        transaction = SqliteTransaction(self._writer, self._now, last)
        try:
            work.result = work.decide(transaction)
            if transaction.changes and transaction.recorded is None:
                raise UnrecordedChangeError  # noqa: TRY301 - it undoes the decision like every other error
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - it is raised again in the thread that waits for this decision
            work.error = error
            self._writer.execute("ROLLBACK TO decision")
        self._writer.execute("RELEASE decision")
        return [] if work.error else transaction.rows

    def _roll_back(self) -> None:
        """SQLite has rolled back by itself after some errors (disk full); then there is nothing to do."""
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    def read(self, look: Callable[[View], T]) -> T:
        return self._looked(lambda connection: look(SqliteView(connection)))

    def events(self, after: int, limit: int) -> tuple[AuditRow, ...]:
        return self._looked(lambda connection: select_events(connection, after, limit))

    def mark(self) -> float:
        last = self._looked(select_last_event)
        return last.at if last else 0.0

    def _looked(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """What `look` finds in one consistent view."""
        try:
            connection = self._reader()
            try:
                connection.execute("BEGIN")
                return look(connection)
            finally:
                connection.rollback()
                self._idle.append(connection)
        except sqlite3.Error as error:
            raise StoreUnavailableError(str(error)) from error

    def _reader(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return _connect(self._path, write=False)

    def close(self) -> None:
        for connection in (*self._idle, self._writer):
            connection.close()


def copy_of(source: Path) -> bytes:
    """A consistent and sound copy, in memory, while the coordinator runs: the bytes of a store's file."""
    with closing(_connect(source, write=False)) as reading, closing(sqlite3.connect(":memory:")) as copy:
        reading.backup(copy)
        if (verdict := copy.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(f"the store is damaged: {verdict}")
        return copy.serialize()


def backup_sqlite(source: Path, target: Path) -> None:
    """A consistent copy while the coordinator runs (SQLite's backup API). The target is new, and 0600."""
    create_private(target, b"")
    with closing(_connect(source, write=False)) as reading, closing(_connect(target, write=True)) as writing:
        reading.backup(writing)
        writing.execute("PRAGMA journal_mode = DELETE")
    with target.open("rb") as written:
        os.fsync(written.fileno())
