"""The store: whole transactions, a chain of audit rows, and closed when in doubt."""

import random
import resource
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from http_server.errors import StartError
from http_server.model import AuditEvent, Enrolment
from http_server.ports import StoreUnavailableError, Transaction
from http_server.store_history import open_sqlite
from http_server.store_sqlite import SqliteStore
from tests.http.process import Coordinator, run_command

NOW = 1_800_000_000.0


def opened(folder: Path) -> SqliteStore:
    return open_sqlite(folder / "store.db", folder / "head", lambda: NOW)


def put(enrolment: Enrolment) -> Callable[[Transaction], None]:
    def decide(transaction: Transaction) -> None:
        transaction.put_enrolment(enrolment)
        transaction.record(AuditEvent("put", enrolment.node))

    return decide


def filled(folder: Path, rows: int = 10) -> Path:
    with closing(opened(folder)) as store:
        for number in range(rows):
            store.transact(put(Enrolment(f"n{number}", 1)))
    return folder / "store.db"


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit SET event = replace(event, 'n4', 'n5') WHERE seq = 5",
        "UPDATE audit SET at = at - 1 WHERE seq = 5",
        "UPDATE audit SET hash = previous WHERE seq = 5",
        "DELETE FROM audit WHERE seq = 5",
        "DELETE FROM audit WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 10",
        "UPDATE audit SET seq = seq + 1 WHERE seq = 10",
        "DELETE FROM audit",
    ],
)
def test_tampering_with_the_audit_is_seen(tmp_path: Path, tampering: str) -> None:
    with closing(sqlite3.connect(filled(tmp_path))) as connection:
        connection.execute(tampering)
        connection.commit()
    with pytest.raises(StartError):
        opened(tmp_path).close()


def test_a_chain_rewritten_from_a_row_on_is_seen_by_its_head(tmp_path: Path) -> None:
    filled(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    with closing(open_sqlite(other / "store.db", other / "head", lambda: NOW + 1)) as forged:
        for number in range(10):
            forged.transact(put(Enrolment(f"evil{number}", 1)))
    (other / "store.db").replace(tmp_path / "store.db")
    with pytest.raises(StartError, match="is not the one that"):
        opened(tmp_path).close()


def test_an_old_copy_put_back_is_refused(tmp_path: Path) -> None:
    path = filled(tmp_path)
    old = path.read_bytes()
    filled(tmp_path, 1)
    path.write_bytes(old)
    with pytest.raises(StartError, match="an old copy of the store was put back"):
        opened(tmp_path).close()


def damaged(path: Path, how: str, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if how == "truncated":
        data = data[: rng.randrange(1, len(data))]
    elif how == "zeroed":
        at = rng.randrange(0, len(data) - 512)
        data[at : at + 512] = bytes(512)
    elif how == "no database":
        data = bytearray(rng.randbytes(4096))
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["truncated", "zeroed", "no database"])
def test_a_damaged_store_does_not_start_or_is_whole(tmp_path: Path, how: str) -> None:
    """Some bytes of a file carry nothing; then all rows must still be there and the chain must hold."""
    path = filled(tmp_path, 200)
    good, rng, refused = path.read_bytes(), random.Random(7), 0
    for _ in range(30):
        path.write_bytes(good)
        damaged(path, how, rng)
        for side in ("-wal", "-shm"):
            path.with_name(path.name + side).unlink(missing_ok=True)
        try:
            with closing(opened(tmp_path)) as store:
                assert len(store.read(lambda view: view.enrolments())) == 200
        except (StartError, StoreUnavailableError):
            refused += 1
    assert refused >= {"truncated": 25, "no database": 30, "zeroed": 5}[how]


def test_a_coordinator_with_a_damaged_store_is_silent_until_it_is_mended(coordinator: Coordinator) -> None:
    """No listener opens: a machine that starts meanwhile goes to its disk, as with a coordinator that is gone."""
    store = coordinator.out.root / "state/coordinator.db"
    coordinator.machine("w1").enrolled()
    coordinator.kill()
    good = store.read_bytes()
    for side in ("-wal", "-shm"):
        store.with_name(store.name + side).unlink(missing_ok=True)
    store.write_bytes(b"\0" * len(good))
    ports = {"--listen": coordinator.port, "--boot-listen": coordinator.boot_port}
    options = [word for name, port in ports.items() for word in (name, f"127.0.0.1:{port}")]
    ended = run_command("serve", str(coordinator.out.root), *options)
    assert ended.returncode == 3
    assert "the coordinator does not start on a damaged store" in ended.stderr
    assert "restore-store" in ended.stderr
    assert store.read_bytes() == b"\0" * len(good)
    for port in ports.values():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()


def test_a_newer_or_foreign_store_is_refused(tmp_path: Path) -> None:
    path = filled(tmp_path)
    for statement, words in (
        ("PRAGMA user_version = 2", "schema version 2"),
        ("PRAGMA application_id = 1", "not a coordinator's"),
    ):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(statement)
        with pytest.raises(StartError, match=words):
            opened(tmp_path).close()


def test_audit_commands(coordinator: Coordinator) -> None:
    root = str(coordinator.out.root)
    coordinator.machine("w1").enrolled()
    assert "every one as it was written" in run_command("audit", "verify", root).stdout
    assert "enrolment-bound w1 by node w1" in run_command("audit", "tail", root, "-n", "1").stdout
    coordinator.kill()
    with closing(sqlite3.connect(coordinator.out.root / "state" / "coordinator.db")) as connection:
        connection.execute("UPDATE audit SET event = replace(event, 'w1', 'w2')")
        connection.commit()
    done = run_command("audit", "verify", root)
    assert (done.returncode, "was changed after it was written" in done.stderr) == (3, True)


def test_a_full_disk_stops_changes_not_answers_and_heals(coordinator: Coordinator) -> None:
    """RLIMIT_FSIZE makes every write beyond so many bytes fail, as a full disk does."""
    worker = coordinator.machine("w1").enrolled()
    assert coordinator.process is not None
    pid = coordinator.process.pid
    assert pid is not None
    hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
    wal = coordinator.out.root / "state" / "coordinator.db-wal"
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (wal.stat().st_size + 30_000, hard))
    answers = [worker.report("base", "failed", log="x" * 8000, attempt=str(number)).status_code for number in range(20)]
    assert answers[0] == 200
    assert answers[-1] == 503
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
    assert coordinator.machine("w2").enrol().status_code == 503
    assert worker.get("/v1/backends").status_code == 200
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert coordinator.machine("w2").enrol().status_code == 200
    assert "every one as it was written" in run_command("audit", "verify", str(coordinator.out.root)).stdout
