"""How a seed becomes a bound credential, and everything that must not."""

from typing import Any

import pytest

from tests.http.process import Coordinator, Machine
from tests.http.wait import wait_for


def test_a_sealed_seed_is_bound_and_its_credential_works(coordinator: Coordinator) -> None:
    machine = coordinator.machine("w1").enrolled()
    assert machine.get("/v1/backends").text == "192.168.77.11:6443\n"
    node = coordinator.status()["nodes"]["w1"]
    assert (node["state"], node["fingerprint"]) == ("bound", machine.fingerprint)
    assert node["facts"]["serial"] == "VMware-56 4d"


def test_the_same_digest_again_gets_the_same_answer_and_one_audit_row(coordinator: Coordinator) -> None:
    machine = coordinator.machine("w1")
    answers = {(answer.status_code, answer.text) for answer in (machine.enrol() for _ in range(5))}
    assert answers == {(200, "bound\n")}
    assert [row["node"] for row in coordinator.events() if row["action"] == "enrolment-bound"] == ["w1"]


def test_another_digest_is_a_conflict_with_an_alarm_and_the_first_keeps_working(coordinator: Coordinator) -> None:
    first = coordinator.machine("w1").enrolled()
    thief = coordinator.machine("w1")
    answer = thief.enrol()
    assert (answer.status_code, answer.json()["error"]) == (409, "bound-to-another")
    assert thief.get("/v1/files").status_code == 401
    assert first.get("/v1/files").status_code == 200
    assert [row["outcome"] for row in coordinator.events() if row["action"] == "seed-conflict"] == ["alarm"]


def refused_headers(coordinator: Coordinator) -> list[str]:
    out = coordinator.out
    enrol_id = out.node("w1")["enrolId"]
    return [
        f"Enrolment {enrol_id}:{'0' * 64}",
        f"Enrolment {'0' * 16}:{out.secrets['w1']}",
        out.seal("w2"),
        f"Enrolment {enrol_id}:",
        f"Enrolment {enrol_id}",
        f"Node w1:{out.secrets['w1']}",
        "Pending nobody",
        "Basic dzE6eA==",
        "Enrolment",
    ]


def test_unknown_wrong_revoked_and_closed_look_alike(coordinator: Coordinator) -> None:
    machine = coordinator.machine("w1")
    answers = [machine.enrol(header) for header in refused_headers(coordinator)]
    gone = coordinator.machine("w2").enrolled()
    gone.report("scrub", "done")
    answers.append(gone.enrol())
    coordinator.order("/nodes/m3/revoke")
    answers.append(coordinator.machine("m3").enrol())
    seen = {(answer.status_code, answer.json()["error"], answer.json()["message"]) for answer in answers}
    assert seen == {(401, "unauthorised", "the credential is unknown, expired, revoked or wrong")}


def test_a_closed_node_keeps_its_credential(coordinator: Coordinator) -> None:
    machine = coordinator.machine("w1").enrolled()
    assert machine.report("scrub", "done").status_code == 200
    assert coordinator.status()["nodes"]["w1"]["state"] == "closed"
    assert machine.get("/v1/backends").status_code == 200


def test_a_seed_from_plain_http_waits_for_the_operator(coordinator: Coordinator) -> None:
    machine = coordinator.machine("w1")
    waiting = machine.enrol("Pending w1")
    assert (waiting.status_code, waiting.headers["retry-after"]) == (202, "5")
    assert machine.get("/v1/files").status_code == 401
    wrong = coordinator.order("/nodes/w1/approve", {"fingerprint": "0000-0000-0000-0000-0000"})
    assert (wrong.status_code, wrong.json()["error"]) == (409, "other-fingerprint")
    assert coordinator.status()["nodes"]["w1"]["state"] == "pending"
    assert coordinator.order("/nodes/w1/approve", {"fingerprint": machine.fingerprint}).status_code == 200
    assert machine.enrol("Pending w1").status_code == 200
    assert machine.get("/v1/files").status_code == 200


def test_a_second_machine_cannot_take_a_pending_place(coordinator: Coordinator) -> None:
    first, second = coordinator.machine("w1"), coordinator.machine("w1")
    assert first.enrol("Pending w1").status_code == 202
    assert second.enrol("Pending w1").status_code == 409
    assert coordinator.order("/nodes/w1/approve", {"fingerprint": second.fingerprint}).status_code == 409
    assert first.enrol("Pending w1").status_code == 202


def test_a_sealed_seed_does_not_lose_its_place_to_a_pending_stranger(coordinator: Coordinator) -> None:
    stranger, owner = coordinator.machine("m1"), coordinator.machine("m1")
    assert stranger.enrol("Pending m1").status_code == 202
    assert owner.enrol().status_code == 200
    assert stranger.enrol("Pending m1").status_code == 409
    assert stranger.get("/v1/files").status_code == 401


def test_a_sealed_seed_in_another_machine_waits_for_the_operator(coordinator: Coordinator) -> None:
    machine = coordinator.machine("m2")
    assert machine.enrol(mac=["02:00:00:00:00:99"]).status_code == 202
    alarm = next(row for row in coordinator.events() if row["action"] == "enrolment-pending")
    assert (alarm["outcome"], alarm["detail"]["macs"]) == ("alarm", "none of the inventory")
    assert machine.get("/v1/files").status_code == 401


def twin(coordinator: Coordinator, name: str, mark: str) -> dict[str, Any]:
    """What a machine says that shares one mark with all others made this way."""
    shared = {"product_uuid": "4c4c4544-0000", "mac": [*coordinator.out.node(name)["macs"], "52:54:00:00:77:77"]}
    return {mark: shared[mark]}


TWINS = [("product_uuid", "same product_uuid"), ("mac", "same MAC address")]


@pytest.mark.parametrize(("mark", "what"), TWINS)
def test_a_machine_that_is_not_unique_waits_for_the_operator(coordinator: Coordinator, mark: str, what: str) -> None:
    first, second = coordinator.machine("w1"), coordinator.machine("w2")
    assert first.enrol(**twin(coordinator, "w1", mark)).status_code == 200
    assert second.enrol(**twin(coordinator, "w2", mark)).status_code == 202
    alarm = next(row for row in coordinator.events() if row["action"] == "enrolment-pending")
    assert (alarm["outcome"], alarm["detail"][what]) == ("alarm", "as w1")
    assert second.get("/v1/files").status_code == 401
    assert first.enrol(**twin(coordinator, "w1", mark)).status_code == 200
    assert coordinator.order("/nodes/w2/approve", {"fingerprint": second.fingerprint}).status_code == 200
    assert second.get("/v1/files").status_code == 200


@pytest.mark.parametrize(("mark", "what"), TWINS)
def test_where_the_spec_says_so_a_twin_is_let_in_and_told(coordinator: Coordinator, mark: str, what: str) -> None:
    coordinator.kill()
    coordinator.out.node("w2")["checkUniqueIds"] = False
    coordinator.out.write_inventory()
    coordinator.start()
    for name in ("w1", "w2"):
        assert coordinator.machine(name).enrol(**twin(coordinator, name, mark)).status_code == 200
    rows = [row["detail"] for row in coordinator.events() if row["action"] == "enrolment-bound"]
    assert [row.get(what) for row in rows] == [None, "as w1"]


def test_nobody_keeps_a_node_out_by_claiming_to_be_its_twin(coordinator: Coordinator) -> None:
    claim = twin(coordinator, "w1", "product_uuid")
    assert coordinator.machine("w1").enrol("Pending w1", **claim).status_code == 202
    assert coordinator.machine("w2").enrol(**claim).status_code == 200


@pytest.mark.parametrize(
    "says",
    [{"product_uuid": ""}, {"product_uuid": "00000000-0000-0000-0000-000000000000"}, {"mac": ["ee:ee:ee:ee:ee:ee"]}],
    ids=["nothing", "zeros", "calico"],
)
def test_what_many_machines_say_makes_no_twins(coordinator: Coordinator, says: dict[str, Any]) -> None:
    for name in ("w1", "w2"):
        own = {"mac": [*coordinator.out.node(name)["macs"], *says["mac"]]} if "mac" in says else says
        assert coordinator.machine(name).enrol(**own).status_code == 200


def test_revoked_on_the_next_request_and_rearmed_for_a_new_credential(coordinator: Coordinator) -> None:
    old = coordinator.machine("w1").enrolled()
    assert coordinator.order("/nodes/w1/revoke").status_code == 200
    assert old.get("/v1/files").status_code == 401
    assert old.enrol().status_code == 401
    assert coordinator.order("/nodes/w1/rearm").status_code == 200
    fresh = coordinator.machine("w1").enrolled()
    assert fresh.get("/v1/files").status_code == 200
    assert old.get("/v1/files").status_code == 401


def test_a_new_generation_kills_the_old_credential_without_a_restart(coordinator: Coordinator) -> None:
    old = coordinator.machine("w1").enrolled()
    coordinator.out.node("w1")["generation"] = 2
    coordinator.out.write_inventory()
    fresh = coordinator.machine("w1")
    wait_for(lambda: old.get("/v1/backends").status_code == 401)
    assert fresh.enrolled().get("/v1/backends").status_code == 200
    assert fresh.enrol(generation="1").status_code == 409


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("digest", "A" * 64, 422),
        ("digest", "0" * 63, 422),
        ("generation", "0", 422),
        ("generation", "1e3", 422),
        ("generation", "2", 409),
        ("mac", ["not a mac"], 422),
        ("arch", "x86_64; reboot", 422),
        ("role", "master", 400),
        ("digest", ["0" * 64, "1" * 64], 400),
        ("node", "m1", 401),
        ("node", "../m1", 422),
    ],
)
def test_each_field_has_its_grammar(shared: Coordinator, field: str, value: Any, status: int) -> None:
    machine = shared.machine("w1")
    assert machine.enrol(**{field: value}).status_code == status
    assert shared.status()["nodes"]["w1"]["state"] == "issued"


def test_text_from_a_machine_cannot_steer_a_terminal_or_a_log(coordinator: Coordinator) -> None:
    hostile = "\x1b[2J[red]evil[/red]\nforged line\x00"
    assert Machine(coordinator, "w1").enrol(serial=hostile, os="x" * 500).status_code == 200
    facts = coordinator.status()["nodes"]["w1"]["facts"]
    assert facts["serial"] == "[2J[red]evil[/red]forged line"
    assert len(facts["os"]) == 128
    assert "\x1b" not in coordinator.log
