"""Several coordinators on one etcd: one winner for each seed, one chain, and silence without a majority."""

import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from http_server.audit_chain import verify
from http_server.settings import EtcdAddress
from http_server.store_history import all_events
from tests.backup.etcd import Cluster
from tests.backup.etcd import running as etcd_running
from tests.http import etcd
from tests.http.outfolder import OutFolder
from tests.http.process import Coordinator, Machine, free_port, run_command, running
from tests.http.wait import wait_for

SEEDS = int(os.environ.get("KUBESEED_TEST_SEEDS", "500"))
# What belongs to one host alone.
OWN = shutil.ignore_patterns("admin.sock", "audit.head*", "lock")


@contextmanager
def twin(folder: Path, of: Coordinator, address: EtcdAddress) -> Iterator[Coordinator]:
    """A coordinator on a second host: the same secrets, keyring and inventory, and the same store."""
    shutil.copytree(of.out.root, folder / "out", ignore=OWN)
    out = OutFolder(folder / "out", of.out.inventory, of.out.secrets)
    made = Coordinator(out, free_port(), free_port(), shared=address)
    made.start()
    try:
        yield made
    finally:
        made.kill()


@contextmanager
def pair(folder: Path, first: EtcdAddress, second: EtcdAddress, seeds: int = 0) -> Iterator[list[Coordinator]]:
    """Two coordinators of one cluster with `seeds` more workers."""
    with ExitStack() as stack:
        one = stack.enter_context(running(folder / "one", shared=first))
        for number in range(seeds):
            one.out.add_worker(f"x{number}")
        one.out.write_inventory()
        yield [one, stack.enter_context(twin(folder / "two", one, second))]


def test_one_winner_for_each_seed(tmp_path: Path) -> None:
    """The same seed is shown to both at once, by two machines; every third time by one machine, which both let in."""
    address = etcd.fresh_address()
    with pair(tmp_path, address, address, SEEDS) as coordinators, ThreadPoolExecutor(6) as pool:
        wait_for(lambda: all(f"x{SEEDS - 1}" in one.status()["nodes"] for one in coordinators), 60)
        results = list(pool.map(lambda number: redeem(coordinators, number), range(SEEDS)))
        assert results == [[200, 200 if number % 3 == 0 else 409] for number in range(SEEDS)]
        rows = bound(coordinators[0])
        assert rows == {f"x{number}": 1 for number in range(SEEDS)}
        assert bound(coordinators[1]) == rows
    with closing(etcd.opened(tmp_path / "look", address, time.time)) as store:
        verify(all_events(store))


def redeem(coordinators: list[Coordinator], number: int) -> list[int]:
    """Shows one seed to both coordinators at the same moment; the status codes in order. The winner works at once."""
    machines = [coordinator.machine(f"x{number}") for coordinator in coordinators]
    if number % 3 == 0:
        machines[1].credential = machines[0].credential
    gate, codes = threading.Barrier(2), dict[str, int]()

    def enrol(name: str, machine: Machine) -> None:
        gate.wait(60)
        codes[name] = machine.enrol().status_code

    threads = [threading.Thread(target=enrol, args=pair) for pair in zip("ab", machines, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, machine in zip("ab", machines, strict=True):
        assert machine.get("/v1/backends").status_code == (200 if codes[name] == 200 else 401)
    return sorted(codes.values())


def bound(coordinator: Coordinator) -> dict[str, int]:
    """How many rows say of each node that it was bound."""
    found: Counter[str] = Counter()
    after = 0
    with coordinator.operator() as client:
        while rows := client.get(f"/events?after={after}&limit=1000").json()["events"]:
            found.update(row["node"] for row in rows if row["action"] == "enrolment-bound")
            after = rows[-1]["seq"]
    return dict(found)


def test_what_one_decides_the_other_knows_at_once(tmp_path: Path) -> None:
    address = etcd.fresh_address()
    with pair(tmp_path, address, address) as (one, other):
        worker = one.machine("w1").enrolled()
        elsewhere = Machine(other, "w1", worker.credential)
        assert elsewhere.get("/v1/backends").status_code == 200
        first = one.machine("m1").enrolled()
        first.initialise()
        assert elsewhere.get("/v1/join").status_code == 200
        assert Machine(other, "m1", first.credential).get("/v1/pki").headers["x-epoch"] == "1"
        second, third = one.machine("m2").enrolled(), other.machine("m3").enrolled()
        assert (second.get("/v1/join").status_code, third.get("/v1/join").status_code) == (200, 202)
        assert other.order("/nodes/w1/revoke").status_code == 200
        assert worker.get("/v1/backends").status_code == 401
        store = etcd.text(address)
        assert (
            "every one as it was written"
            in run_command("audit", "verify", str(other.out.root), "--store", store).stdout
        )


def test_a_second_coordinator_without_the_keyring_is_refused(tmp_path: Path) -> None:
    address = etcd.fresh_address()
    with running(tmp_path / "one", shared=address) as one:
        shutil.copytree(one.out.root, tmp_path / "two", ignore=OWN)
        key = tmp_path / "two" / "state" / "keyring.key"
        key.write_text("11" * 32)
        words = ["serve", str(tmp_path / "two"), "--store", etcd.text(address), "--boot-listen", "127.0.0.1:0"]
        assert "the keyring does not open the store" in run_command(*words).stderr
        key.unlink()
        assert "keyring.key is missing" in run_command(*words).stderr


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Cluster]:
    with etcd_running(tmp_path / "etcd", etcd.free_network(), etcd.programs()) as cluster:
        yield cluster


def signal_members(cluster: Cluster, number: signal.Signals, *names: str) -> None:
    for member in cluster.members:
        if member.name in names and member.process:
            member.process.send_signal(number)


def test_without_a_majority_nothing_is_decided_nor_told(three: Cluster, tmp_path: Path) -> None:
    """Two of three members are frozen: the third lives, and may neither decide nor say what it remembers."""
    address = etcd.fresh_address(three.members[0])
    with running(tmp_path, shared=address, member=three.members[0]) as coordinator:
        first = coordinator.machine("m1").enrolled()
        first.initialise()
        assert first.get("/v1/pki").status_code == 200
        signal_members(three, signal.SIGSTOP, "m2", "m3")
        try:
            assert coordinator.machine("w1").enrol().status_code == 503
            assert first.get("/v1/pki").status_code == 503
            assert first.get("/v1/backends").status_code == 503
            with coordinator.anybody() as client:
                assert client.get("/healthz").status_code == 200
            assert coordinator.order("/nodes/m1/revoke").status_code == 503
        finally:
            signal_members(three, signal.SIGCONT, "m2", "m3")
        wait_for(lambda: first.get("/v1/pki").status_code == 200, 30)
        assert coordinator.machine("w1").enrol().status_code == 200


def test_a_lost_leader_costs_seconds(three: Cluster, tmp_path: Path) -> None:
    """With all endpoints given, any one member may freeze or die."""
    address = etcd.fresh_address(*three.members)
    with running(tmp_path, shared=address, member=three.members[0]) as coordinator:
        worker = coordinator.machine("w1").enrolled()
        leader = three.leader
        signal_members(three, signal.SIGSTOP, leader.name)
        try:
            wait_for(lambda: worker.get("/v1/backends").status_code == 200, 30)
            assert coordinator.machine("w2").enrol().status_code == 200
        finally:
            signal_members(three, signal.SIGCONT, leader.name)
        three.wait()
        other = three.leader
        other.stop()
        wait_for(lambda: coordinator.machine("m2").enrol().status_code == 200, 30)
        assert worker.get("/v1/backends").status_code == 200
