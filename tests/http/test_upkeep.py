"""What an operator does to a store: a new key for the keyring, an inventory for all coordinators, a copy put back."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from http_server import rekey as rekeying
from http_server.coordinator import assemble
from http_server.keyring import AesKeyring, KeyringError, parse_keys
from http_server.order import Order, OrderFile
from http_server.secret import Secret
from http_server.service.restore_order import SEALED_NAME
from http_server.settings import EtcdAddress, Out, Settings
from http_server.shelf import PIECE
from http_server.upkeep import new_key
from tests.http import etcd
from tests.http.kubernetes import ApiServer
from tests.http.outfolder import sha256
from tests.http.process import Coordinator, Machine, free_port, run_command, running, unpack
from tests.http.test_shared import pair
from tests.http.wait import wait_for


@pytest.fixture(params=["sqlite", "etcd"])
def shared(request: pytest.FixtureRequest) -> EtcdAddress | None:
    return etcd.fresh_address() if request.param == "etcd" else None


def store_words(shared: EtcdAddress | None) -> list[str]:
    return ["--store", etcd.text(shared)] if shared else []


def test_a_new_key_opens_everything_and_the_old_one_nothing(tmp_path: Path, shared: EtcdAddress | None) -> None:
    port = free_port()
    with running(tmp_path, join="token", api_servers=[f"127.0.0.1:{port}"], shared=shared) as coordinator:
        first, worker = coordinator.machine("m1").enrolled(), coordinator.machine("w1").enrolled()
        first.initialise()
        keys = unpack(first.get("/v1/pki").content)
        server = ApiServer(tmp_path, port)
        server.start(keys["pki/ca.crt"], keys["pki/ca.key"])
        try:
            token = token_of(worker)
            path = coordinator.out.root / "state" / "keyring.key"
            old = parse_keys(path)
            words = ["rekey", str(coordinator.out.root), *store_words(shared)]
            assert "already serves" in run_command(*words).stderr
            coordinator.kill()
            arm_restore(coordinator, AesKeyring(old, "prod"))
            done = run_command(*words)
            assert done.returncode == 0, done.stderr
            new = parse_keys(path)
            assert (len(new), path.stat().st_mode & 0o777) == (1, 0o600)
            assert new != old
            coordinator.start()
            assert unpack(first.get("/v1/pki").content) == keys
            assert token_of(worker) == token
            order = OrderFile(Out(coordinator.out.root).restore_order).read()
            assert order
            sealed = bytes.fromhex(order.sealedKey)
            assert AesKeyring(new, "prod").unseal("restore-key", 1, sealed).reveal() == b"ab" * 32
            with pytest.raises(KeyringError):
                AesKeyring(old, "prod").unseal("restore-key", 1, sealed)
            assert any(row["action"] == "keyring-rekeyed" for row in coordinator.events())
            coordinator.kill()
            path.write_text(old[0].reveal().hex())
            said = run_command("serve", str(coordinator.out.root), "--boot-listen", "127.0.0.1:0", *store_words(shared))
            assert "the keyring does not open the store" in said.stderr
        finally:
            server.stop()


def token_of(worker: Machine) -> str:
    token: str = yaml.safe_load(worker.get("/v1/join?wait=10").content)["users"][0]["user"]["token"]
    return token


def arm_restore(coordinator: Coordinator, keyring: AesKeyring) -> None:
    sealed = keyring.seal(SEALED_NAME, 1, Secret(b"ab" * 32)).hex()
    order = Order(
        backup="20300131T030000Z-m1", attempt=1, force=False, members="", sealedKey=sealed, epoch=1, at=1.0
    )  # fmt: skip
    OrderFile(Out(coordinator.out.root).restore_order).write(order)


@pytest.mark.parametrize("step", ["replace_durably", "_seal_keys", "_seal_tokens", "_seal_order", "_prove"])
def test_a_rekey_that_was_stopped_goes_on(tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped before or in any step, a coordinator starts, and the command repeated ends with one new key."""
    with running(tmp_path) as coordinator:
        coordinator.machine("m1").enrolled().initialise()
    out = Out(coordinator.out.root)
    old = parse_keys(out.keyring_key)

    def die(*_: object) -> None:
        raise InterruptedError

    with monkeypatch.context() as patched:
        patched.setattr(rekeying, step, die)
        if step == "_seal_tokens":  # there is none in this mode of joining
            patched.setattr(rekeying, "_seal_order", die)
        with pytest.raises(InterruptedError):
            new_key(out)
    with assemble(Settings(out)):
        pass
    new_key(out)
    assert len(parse_keys(out.keyring_key)) == 1
    assert parse_keys(out.keyring_key) != old
    with assemble(Settings(out)):
        pass


def test_a_prepared_key_is_handed_to_the_other_coordinators_first(tmp_path: Path) -> None:
    """No coordinator ever meets something that it cannot open."""
    address = etcd.fresh_address()
    with pair(tmp_path, address, address) as (one, other):
        first = one.machine("m1").enrolled()
        words = [str(one.out.root), "--store", etcd.text(address)]
        one.kill()
        assert "copy it to every coordinator" in run_command("rekey", "--prepare", *words).stdout
        key, theirs = (found.out.root / "state" / "keyring.key" for found in (one, other))
        assert len(parse_keys(key)) == 2
        other.kill()
        shutil.copy(key, theirs)
        other.start()
        done = run_command("rekey", *words)
        assert done.returncode == 0, done.stderr
        assert Machine(other, "m1", first.credential).post("/v1/init/claim").status_code == 200
        assert Machine(other, "m1", first.credential).get("/v1/pki").status_code == 200
        other.kill()
        shutil.copy(key, theirs)
        other.start()
        assert Machine(other, "m1", first.credential).get("/v1/pki").status_code == 200


def test_what_is_pushed_reaches_every_coordinator(tmp_path: Path) -> None:
    """The files first, the inventory last; a node that was added enrols at the other one, and gets its files."""
    address = etcd.fresh_address()
    with pair(tmp_path, address, address) as (one, other):
        worker = one.machine("w1").enrolled()
        before = worker.get("/v1/files").content
        one.out.add_worker("w3")
        change_file(one, os.urandom(2 * PIECE))
        (one.out.root / "pxe" / "seed" / "w2" / "user-data").unlink()
        done = run_command("push", str(one.out.root), "--store", etcd.text(address))
        assert done.returncode == 0, done.stderr
        assert "pushed 6 nodes" in done.stdout
        wait_for(lambda: "w3" in other.status()["nodes"], 20)
        there = Machine(other, "w1", worker.credential).get("/v1/files").content
        assert there != before
        assert there == worker.get("/v1/files").content
        assert not (other.out.root / "pxe" / "seed" / "w2" / "user-data").exists()
        assert (other.out.root / "pxe" / "seed" / "w1" / "user-data").stat().st_mode & 0o777 == 0o644
        other.out.secrets["w3"] = one.out.secrets["w3"]
        assert other.machine("w3").enrol().status_code == 200
        assert any(row["action"] == "inventory-pushed" for row in other.events())
        again = run_command("push", str(one.out.root), "--store", etcd.text(address))
        assert again.returncode == 0, again.stderr
        pieces = [key for key in etcd.everything(address) if "/shelf/" in key and not key.endswith("/label")]
        assert len({key.split("/")[-2] for key in pieces}) == 1
        assert not [key for key, value in etcd.everything(address).items() if b"net.ipv4" in value]


def change_file(coordinator: Coordinator, data: bytes) -> None:
    entry = next(one for one in coordinator.out.inventory["filesets"]["cluster"] if one["path"] == "sysctl.conf")
    entry["sha256"] = sha256(data)
    (coordinator.out.root / "coordinator" / "files" / "cluster" / "sysctl.conf").write_bytes(data)
    coordinator.out.write_inventory()


def test_push_needs_a_shared_store_and_a_good_inventory(coordinator: Coordinator) -> None:
    root = str(coordinator.out.root)
    assert run_command("push", root).returncode == 2
    (coordinator.out.root / "coordinator" / "inventory.json").write_text(json.dumps({"format": 1}))
    address = etcd.fresh_address()
    etcd.put_files(coordinator.out.root / "state" / "etcd")
    done = run_command("push", root, "--store", etcd.text(address))
    assert (done.returncode, "is not an inventory" in done.stderr) == (3, True)
    assert etcd.everything(address) == {}


def test_an_etcd_put_back_is_accepted_by_word_only(tmp_path: Path) -> None:
    """Its snapshot knows nothing of a seed that was used since: the seed is dead until the operator re-arms it."""
    address = etcd.fresh_address()
    with running(tmp_path, shared=address) as coordinator:
        early = coordinator.machine("w1").enrolled()
        kept = etcd.everything(address)
        late = coordinator.machine("w2").enrolled()
        root, words = str(coordinator.out.root), ["--store", etcd.text(address)]
        coordinator.kill()
        etcd.put_back(address, kept)
        said = run_command("serve", root, "--boot-listen", "127.0.0.1:0", *words).stderr
        assert "an old copy of the store was put back" in said
        assert run_command("restore-store", root).returncode == 2
        done = run_command("restore-store", root, *words)
        assert done.returncode == 0, done.stderr
        assert "m1, m2, m3, w2" in done.stdout
        coordinator.start()
        assert early.get("/v1/backends").status_code == 200
        assert (late.get("/v1/backends").status_code, late.enrol().status_code) == (401, 401)
        assert coordinator.order("/nodes/w2/rearm").status_code == 200
        assert late.enrol().status_code == 200


def test_a_copy_of_a_shared_store_is_etcds_own(tmp_path: Path, coordinator: Coordinator) -> None:
    """And a copy of SQLite's is a whole database that opens by itself."""
    copy = tmp_path / "copy.db"
    assert run_command("backup-store", str(coordinator.out.root), str(copy)).returncode == 0
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
