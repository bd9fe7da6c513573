"""A store that is put back: whole, of this cluster, and without reviving what has died since."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from http_server.boot import Boot, BootState, Machine
from http_server.model import AuditEvent
from http_server.ports import Transaction
from http_server.restore import restore
from http_server.settings import Out
from http_server.store_history import open_sqlite
from http_server.store_sqlite import SqliteStore, backup_sqlite
from tests.http.process import Coordinator, free_port, fresh_out, run_command


def test_backup_while_running_and_restore_kills_open_secrets(coordinator: Coordinator, tmp_path: Path) -> None:
    root, copy = str(coordinator.out.root), tmp_path / "copy.db"
    early = coordinator.machine("w1").enrolled()
    assert run_command("backup-store", root, str(copy)).returncode == 0
    assert copy.stat().st_mode & 0o777 == 0o600
    assert run_command("backup-store", root, str(copy)).returncode == 3
    late = coordinator.machine("w2").enrolled()
    assert "already serves" in run_command("restore-store", root, str(copy)).stderr
    coordinator.kill()
    done = run_command("restore-store", root, str(copy))
    assert done.returncode == 0, done.stderr
    assert "m1, m2, m3, w2" in done.stdout
    coordinator.start()
    assert early.get("/v1/backends").status_code == 200
    assert late.get("/v1/backends").status_code == 401
    assert late.enrol().status_code == 401
    assert coordinator.order("/nodes/w2/rearm").status_code == 200
    assert late.enrol().status_code == 200
    assert any(row["action"] == "store-restored" for row in coordinator.events())


def test_a_copy_that_is_not_one_is_not_restored(tmp_path: Path) -> None:
    out = fresh_out(tmp_path, free_port())
    before = (out.root / "state" / "coordinator.db").read_bytes()
    nonsense = tmp_path / "nonsense"
    nonsense.write_bytes(b"hello" * 1000)
    for source in (nonsense, tmp_path / "missing"):
        assert run_command("restore-store", str(out.root), str(source)).returncode == 3
    assert (out.root / "state" / "coordinator.db").read_bytes() == before


@pytest.fixture
def sealed(coordinator: Coordinator, tmp_path: Path) -> Path:
    """The store as a node gets it for its backup, once the cluster exists."""
    master = coordinator.machine("m1").enrolled()
    master.initialise()
    answer = master.get("/v1/backups/store")
    assert answer.status_code == 200
    file = tmp_path / "store.sealed"
    file.write_bytes(answer.content)
    return file


def lose_state(coordinator: Coordinator) -> bytes:
    """All that the coordinator knew is gone; the operator kept the keyring's key in another place."""
    coordinator.kill()
    state = coordinator.out.root / "state"
    key = (state / "keyring.key").read_bytes()
    shutil.rmtree(state)
    state.mkdir(0o700)
    put_key(coordinator, key)
    return key


def put_key(coordinator: Coordinator, key: bytes) -> None:
    path = coordinator.out.root / "state" / "keyring.key"
    path.touch(0o600)
    path.write_bytes(key)


def test_a_lost_store_comes_back_from_what_a_backup_carries(coordinator: Coordinator, sealed: Path) -> None:
    master = coordinator.machine("m2").enrolled()  # later than the copy: its seed may be used by anybody
    before = coordinator.events()
    authorities = master.authorities()
    lose_state(coordinator)
    done = run_command("restore-store", str(coordinator.out.root), str(sealed))
    assert done.returncode == 0, done.stderr
    coordinator.start()
    assert coordinator.status()["init"]["state"] == "complete"
    assert master.get("/v1/authorities").status_code == 401
    assert coordinator.order("/nodes/m2/rearm").status_code == 200
    assert master.enrolled().authorities() == authorities, "the cluster's authorities are those from before"
    assert coordinator.events()[: len(before) - 2] == before[:-2]  # all but the copying itself and m2's enrolment


def test_no_node_can_read_the_store_that_it_carries(coordinator: Coordinator, sealed: Path) -> None:
    content = sealed.read_bytes()
    assert b"SQLite format" not in content
    assert b"enrol" not in content
    worker = coordinator.machine("w1").enrolled()
    assert worker.get("/v1/backups/store").status_code == 403
    assert any(row["action"] == "store-copied" and row["node"] == "m1" for row in coordinator.events())


def test_a_sealed_store_opens_with_its_own_key_only_and_as_a_whole(coordinator: Coordinator, sealed: Path) -> None:
    key = lose_state(coordinator)
    root, content = str(coordinator.out.root), sealed.read_bytes()
    sealed.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    changed = run_command("restore-store", root, str(sealed))
    assert changed.returncode == 3
    assert "does not open with" in changed.stderr
    sealed.write_bytes(content)
    put_key(coordinator, b"0" * 64 + b"\n")
    other = run_command("restore-store", root, str(sealed))
    assert other.returncode == 3
    assert "does not open with" in other.stderr
    (coordinator.out.root / "state" / "keyring.key").unlink()
    assert "keyring.key is missing" in run_command("restore-store", root, str(sealed)).stderr
    assert not (coordinator.out.root / "state" / "coordinator.db").exists()
    put_key(coordinator, key)
    assert run_command("restore-store", root, str(sealed)).returncode == 0


@pytest.mark.parametrize("state", [BootState.ARMED, BootState.OFFERED, BootState.INSTALLING, BootState.FAILED])
def test_an_installation_that_was_ordered_dies_with_the_store(tmp_path: Path, state: BootState) -> None:
    """The machine may have been installed since, and joined: nothing may wipe its disk."""
    out = Out(fresh_out(tmp_path, free_port()).root)
    machine = Machine("52:54:00:00:00:21", "uuid", "serial")

    def arm(transaction: Transaction) -> None:
        transaction.put_boot(Boot("w1", 1, state, "a" * 32, machine, wipe=True, until=9e9, since=8e9))
        transaction.record(AuditEvent("boot-armed", "w1"))

    with closing(opened(out)) as store:
        store.transact(arm)
    backup_sqlite(out.store, tmp_path / "copy.db")
    restore(out, tmp_path / "copy.db")
    with closing(opened(out)) as store:
        boot = store.read(lambda view: view.boot("w1"))
    assert boot == Boot("w1", 1, BootState.INSTALLED, "a" * 32, machine)


def opened(out: Out) -> SqliteStore:
    return open_sqlite(out.store, out.audit_head, lambda: 1_800_000_000.0)
