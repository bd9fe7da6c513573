"""Several processes that serve as one, a reload under load, and the unit that runs them."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.http.process import Coordinator, Machine, running
from tests.http.wait import wait_for

WORKERS = 3


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Coordinator]:
    with running(tmp_path, workers=WORKERS) as started:
        yield started
        started.signal(signal.SIGTERM, 20)


def children(coordinator: Coordinator) -> list[int]:
    assert coordinator.process is not None
    pid = coordinator.process.pid
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def connected(pid: int) -> int:
    """How many sockets a process holds."""
    links = [path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]
    return sum(str(link).startswith("socket:") for link in links)


def test_every_worker_answers_nodes(crew: Coordinator) -> None:
    assert len(children(crew)) == WORKERS
    idle = {pid: connected(pid) for pid in children(crew)}
    clients = [crew.anybody() for _ in range(40)]
    assert all(client.get("/healthz").status_code == 200 for client in clients)
    assert all(connected(pid) > idle[pid] for pid in idle)
    for client in clients:
        client.close()


def told(coordinator: Coordinator) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    with coordinator.operator() as client:
        families = text_string_to_metric_families(client.get("/metrics").text)
        return {
            (found.name, frozenset(found.labels.items())): found.value for each in families for found in each.samples
        }


def test_metrics_are_those_of_all_workers(crew: Coordinator) -> None:
    """Also of one that has died: the worker in its place goes on counting where it ended."""
    where = frozenset({"listener": "tls", "method": "GET", "route": "/v1/backends"}.items())
    answered, listener = ("kubeseed_requests_total", where | {("status", "200")}), frozenset({("listener", "tls")})
    worker = crew.machine("w1").enrolled()
    idle = {pid: connected(pid) for pid in children(crew)}
    clients = [crew.anybody(Authorization=worker.header) for _ in range(40)]
    assert all(client.get("/v1/backends").status_code == 200 for client in clients)
    assert all(connected(pid) > idle[pid] for pid in idle), "a worker was not asked"
    found = told(crew)
    assert found[answered] == found["kubeseed_request_seconds_count", where] == 40
    assert found["kubeseed_connections", listener] == 40
    assert found["kubeseed_connections", frozenset({("listener", "socket")})] == 1
    assert found["kubeseed_init_epoch", frozenset()] == 1
    assert found["process_cpu_seconds_total", frozenset()] > 0
    crew.anybody(Authorization=f"Node w1:{'0' * 64}").get("/v1/backends")
    assert told(crew)["kubeseed_refusals_total", frozenset({("code", "unauthorised")})] == 1

    victim = children(crew)[-1]
    time.sleep(5)
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(children(crew)) == WORKERS and victim not in children(crew), 20)
    for client in clients:
        client.close()
    wait_for(lambda: told(crew)["kubeseed_connections", listener] == 0, 20)
    assert told(crew)[answered] == 40
    wait_for(lambda: all(works(worker) for _ in range(12)), 20)
    assert told(crew)[answered] >= 52


def test_one_winner_among_workers(crew: Coordinator) -> None:
    for number in range(30):
        crew.out.add_worker(f"x{number}")
    crew.out.write_inventory()
    known_to_all(crew, "x29")

    def redeem(number: int) -> list[int]:
        with ThreadPoolExecutor(3) as pool:
            return sorted(pool.map(lambda _: crew.machine(f"x{number}").enrol().status_code, range(3)))

    assert [redeem(number) for number in range(30)] == [[200, 409, 409]] * 30
    rows = Counter(row["node"] for row in crew.events() if row["action"] == "enrolment-bound")
    assert rows == {f"x{number}": 1 for number in range(30)}


def known_to_all(coordinator: Coordinator, node: str) -> None:
    """Every worker looks at the inventory once a second."""
    wait_for(lambda: node in coordinator.status()["nodes"], 10)
    time.sleep(2.5)


def test_a_ring_is_heard_by_the_waiting_of_all_workers(crew: Coordinator) -> None:
    """Long-polls end when the cluster is complete, whichever worker they wait at; the next look would be later."""
    first, worker = crew.machine("m1").enrolled(), crew.machine("w1").enrolled()
    epoch = first.post("/v1/init/claim").json()["epoch"]
    assert first.get("/v1/pki").status_code == 200
    ended: list[tuple[int, float]] = []

    def wait() -> None:
        status = worker.get("/v1/join?wait=25").status_code
        ended.append((status, time.monotonic()))

    threads = [threading.Thread(target=wait) for _ in range(12)]
    for thread in threads:
        thread.start()
    time.sleep(6)
    assert ended == []
    assert first.complete(epoch).status_code == 200
    complete = time.monotonic()
    for thread in threads:
        thread.join(20)
    assert [status for status, _ in ended] == [200] * 12
    late = sorted(at - complete for _, at in ended)
    assert late[8] < 3, late


def test_a_dead_worker_is_replaced(crew: Coordinator) -> None:
    worker = crew.machine("w1").enrolled()
    for _ in range(2):
        time.sleep(5)
        before = children(crew)
        for victim in (before[0], before[-1]):
            os.kill(victim, signal.SIGKILL)
        wait_for(lambda before=before: len(children(crew)) == WORKERS and set(children(crew)) != set(before), 20)  # type: ignore[misc]
        wait_for(lambda: all(works(worker) for _ in range(10)), 20)
        wait_for(lambda: operator_works(crew), 20)


def works(machine: Machine) -> bool:
    try:
        return machine.get("/v1/backends").status_code == 200
    except httpx.TransportError:
        return False


def operator_works(coordinator: Coordinator) -> bool:
    try:
        return bool(coordinator.status()["cluster"])
    except httpx.TransportError:
        return False


def test_they_end_together(tmp_path: Path) -> None:
    with running(tmp_path, workers=WORKERS) as coordinator:
        worker = coordinator.machine("w1").enrolled()
        statuses: list[int] = []
        waiting = [
            threading.Thread(target=lambda: statuses.append(worker.get("/v1/join?wait=25").status_code))
            for _ in range(6)
        ]
        for thread in waiting:
            thread.start()
        time.sleep(2)
        pids = children(coordinator)
        assert coordinator.signal(signal.SIGTERM, 20) == 0
        for thread in waiting:
            thread.join(10)
        assert statuses == [202] * 6
        assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        assert not (coordinator.out.root / "state" / "admin.sock").exists()


def test_workers_do_not_outlive_their_parent(tmp_path: Path) -> None:
    with running(tmp_path, workers=WORKERS) as coordinator:
        pids = children(coordinator)
        coordinator.kill()
        wait_for(lambda: not [pid for pid in pids if alive(pid)], 20)
        coordinator.start()
        assert coordinator.machine("w1").enrol().status_code == 200
        coordinator.signal(signal.SIGTERM, 20)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("workers", [1, WORKERS])
def test_an_inventory_is_reloaded_without_dropping_a_request(tmp_path: Path, workers: int) -> None:
    """Ten inventories, each with a signal, while four nodes ask without a pause, on new and on open connections."""
    with running(tmp_path, workers=workers) as coordinator:
        machines = [coordinator.machine(name).enrolled() for name in ("m1", "m2", "w1", "w2")]
        answers: Counter[int] = Counter()
        done = threading.Event()

        def ask(machine: Machine) -> None:
            while not done.is_set():
                with coordinator.anybody(Authorization=machine.header) as client:
                    answers.update(client.get("/v1/files").status_code for _ in range(3))
                    time.sleep(0.05)

        threads = [threading.Thread(target=ask, args=(machine,)) for machine in machines]
        for thread in threads:
            thread.start()
        for number in range(10):
            coordinator.out.add_worker(f"y{number}")
            coordinator.out.write_inventory()
            assert coordinator.process is not None
            os.kill(coordinator.process.pid or 0, signal.SIGHUP)
            wait_for(lambda number=number: f"y{number}" in coordinator.status()["nodes"], 60)  # type: ignore[misc]
        wait_for(lambda: answers[200] > 50, 60)
        done.set()
        for thread in threads:
            thread.join(60)
        assert coordinator.signal(signal.SIGTERM, 60) == 0
        assert set(answers) == {200}, answers
