"""An etcd that loses answers, has no room, or was put back: never wrong, at worst silent (rows F19, F21, F22)."""

import random
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from http_server.audit_chain import verify
from http_server.errors import StartError
from http_server.etcd import Etcd, EtcdError, Operation
from http_server.model import AuditEvent, Enrolment
from http_server.ports import StoreUnavailableError, Transaction
from http_server.store_etcd import EtcdStore
from http_server.store_history import all_events, open_etcd
from tests.backup.etcd import running as etcd_running
from tests.http import etcd
from tests.http.process import run_command, running
from tests.http.wait import wait_for


class LossyEtcd(Etcd):
    """Loses questions on the way there, and answers on the way back."""

    rng = random.Random(8)

    def change(self, guard: str, revision: int, operations: Sequence[Operation]) -> bool:
        if self.rng.random() < 0.2:
            raise EtcdError("the question was lost")
        done = super().change(guard, revision, operations)
        if self.rng.random() < 0.3:
            raise EtcdError("the answer was lost")
        return done


def test_a_lost_answer_of_etcd_is_found_out(tmp_path: Path) -> None:
    """Four threads on two stores that lose half of what they say: each decision happens once."""
    address, files = etcd.fresh_address(), etcd.put_files(tmp_path / "etcd")
    stores = [
        EtcdStore(LossyEtcd(address, files), address.prefix, tmp_path / f"head{at}", lambda: 1e9) for at in (0, 1)
    ]
    done: list[str] = []

    def work(store: EtcdStore, mark: str) -> None:
        for number in range(25):
            store.transact(put(f"{mark}{number}"))
            done.append(f"{mark}{number}")

    threads = [threading.Thread(target=work, args=(stores[at % 2], f"t{at}x")) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with closing(etcd.opened(tmp_path / "look", address, lambda: 1e9)) as store:
        rows = list(all_events(store))
        verify(rows)
        assert sorted(row.event.node for row in rows) == sorted(done)
        assert len(done) == 100
    for each in stores:
        each.close()


def put(name: str) -> Callable[[Transaction], None]:
    def decide(transaction: Transaction) -> None:
        transaction.put_enrolment(Enrolment(name, 1))
        transaction.record(AuditEvent("put", name))

    return decide


def test_an_etcd_without_room_refuses_changes_and_heals(tmp_path: Path) -> None:
    """NOSPACE: nothing is half done; after the operator made room it goes on by itself."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "etcdctl").symlink_to(etcd.programs() / "etcdctl")
    (programs / "etcd").write_text(f'#!/bin/sh\nexec {etcd.programs() / "etcd"} "$@" --quota-backend-bytes=1048576\n')
    (programs / "etcd").chmod(0o755)
    with etcd_running(tmp_path / "etcd", etcd.free_network(), programs, size=1) as cluster:
        (member,) = cluster.members
        address = etcd.fresh_address(member)
        with running(tmp_path, shared=address, member=member) as coordinator:
            worker = coordinator.machine("w1").enrolled()
            for number in range(200):
                try:
                    member.etcdctl("put", "filler", "x" * 20000 + str(number))
                except subprocess.CalledProcessError:
                    break
            assert coordinator.machine("w2").enrol().status_code == 503
            assert worker.get("/v1/backends").status_code == 200
            revision = member.fields()["Revision"]
            member.etcdctl("compact", revision)
            member.etcdctl("defrag")
            member.etcdctl("alarm", "disarm")
            wait_for(lambda: coordinator.machine("w2").enrol().status_code == 200, 20)
            store = etcd.text(address)
            assert (
                "every one as it was"
                in run_command("audit", "verify", str(coordinator.out.root), "--store", store).stdout
            )


def test_an_etcd_that_was_put_back_is_noticed_at_once_and_at_start(tmp_path: Path) -> None:
    address = etcd.fresh_address()
    with closing(etcd.opened(tmp_path, address, lambda: 1e9)) as store:
        for name in ("a", "b", "c"):
            store.transact(put(name))
        member = etcd.common().members[0]
        member.etcdctl("del", "--prefix", f"{address.prefix}/")
        with pytest.raises(StoreUnavailableError, match="an old copy of the store was put back"):
            store.read(lambda view: view.enrolments())
        with pytest.raises(StoreUnavailableError):
            store.transact(put("d"))
    with pytest.raises(StartError, match="an old copy of the store was put back"):
        open_etcd(address, tmp_path / "etcd", "prod", tmp_path / "head", lambda: 1e9)
