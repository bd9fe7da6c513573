"""When a node may join, in mode `certificate`: after init, masters one at a time, and waiting disturbs nobody."""

import base64
import threading
import time

import yaml

from tests.http.process import Coordinator, Machine


def test_nobody_joins_before_init_is_complete(coordinator: Coordinator) -> None:
    worker = coordinator.machine("w1").enrolled()
    answer = worker.get("/v1/join")
    assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (
        202,
        "waiting for the first master\n",
        "5",
    )
    assert coordinator.machine("m1").enrolled().get("/v1/join").status_code == 403


def test_discovery_conf_is_a_kubeconfig_that_kubeadm_reads(coordinator: Coordinator) -> None:
    coordinator.machine("m1").enrolled().initialise()
    worker = coordinator.machine("w1").enrolled()
    config = yaml.safe_load(worker.get("/v1/join").content)
    cluster = config["clusters"][0]["cluster"]
    assert cluster["server"] == "https://127.0.0.1:6443"
    assert base64.b64decode(cluster["certificate-authority-data"]) == worker.authorities()["ca.crt"]
    user = config["users"][0]["user"]
    assert user == {
        "client-certificate": "/etc/kubeseed/kubelet-client.crt",
        "client-key": "/etc/kubeseed/kubelet-client.key",
    }
    context = next(found["context"] for found in config["contexts"] if found["name"] == config["current-context"])
    assert context == {"cluster": config["clusters"][0]["name"], "user": config["users"][0]["name"]}


def test_masters_join_one_at_a_time_and_workers_at_once(coordinator: Coordinator) -> None:
    coordinator.machine("m1").enrolled().initialise()
    second, third = coordinator.machine("m2").enrolled(), coordinator.machine("m3").enrolled()
    assert second.get("/v1/join").status_code == 200
    assert third.get("/v1/join").text == "waiting for another master to join\n"
    assert coordinator.machine("w1").enrolled().get("/v1/join").status_code == 200
    assert second.get("/v1/join").status_code == 200
    assert coordinator.status()["slot"]["node"] == "m2"
    second.report("join", "done")
    assert coordinator.status()["slot"] is None
    assert third.get("/v1/join").status_code == 200


def test_a_failed_join_keeps_the_slot_and_a_revoked_master_frees_it(coordinator: Coordinator) -> None:
    coordinator.machine("m1").enrolled().initialise()
    second, third = coordinator.machine("m2").enrolled(), coordinator.machine("m3").enrolled()
    second.get("/v1/join")
    second.report("join", "failed")
    assert third.get("/v1/join").status_code == 202
    coordinator.order("/nodes/m2/revoke")
    assert third.get("/v1/join").status_code == 200
    assert second.get("/v1/join").status_code == 401


def in_background(machine: Machine, answers: list[tuple[float, int]]) -> threading.Thread:
    def wait() -> None:
        started = time.monotonic()
        status = machine.get("/v1/join?wait=25").status_code
        answers.append((time.monotonic() - started, status))

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_long_poll_is_answered_when_init_completes_and_does_not_hold_others_up(coordinator: Coordinator) -> None:
    first = coordinator.machine("m1").enrolled()
    workers = [coordinator.machine("w1").enrolled(), coordinator.machine("w2").enrolled()]
    answers: list[tuple[float, int]] = []
    threads = [in_background(workers[index % 2], answers) for index in range(50)]
    time.sleep(1)
    started = time.monotonic()
    assert first.get("/v1/backends").status_code == 200
    assert time.monotonic() - started < 1
    first.initialise()
    for thread in threads:
        thread.join(10)
    assert len(answers) == 50
    assert {status for _, status in answers} == {200}


def test_a_long_poll_ends_with_202(coordinator: Coordinator) -> None:
    worker = coordinator.machine("w1").enrolled()
    started = time.monotonic()
    assert worker.get("/v1/join?wait=1").status_code == 202
    assert 0.9 < time.monotonic() - started < 3
    assert worker.get("/v1/join?wait=26").status_code == 422
    assert worker.get("/v1/join?forever=1").status_code == 400


def test_a_waiting_node_that_is_revoked_gets_nothing(coordinator: Coordinator) -> None:
    first, worker = coordinator.machine("m1").enrolled(), coordinator.machine("w1").enrolled()
    answers: list[tuple[float, int]] = []
    thread = in_background(worker, answers)
    time.sleep(0.5)
    coordinator.order("/nodes/w1/revoke")
    first.initialise()
    thread.join(10)
    assert [status for _, status in answers] == [401]


def test_the_slot_survives_a_restart(coordinator: Coordinator) -> None:
    coordinator.machine("m1").enrolled().initialise()
    second, third = coordinator.machine("m2").enrolled(), coordinator.machine("m3").enrolled()
    assert second.get("/v1/join").status_code == 200
    coordinator.kill()
    coordinator.start()
    assert third.get("/v1/join").status_code == 202
    assert second.get("/v1/join").status_code == 200
