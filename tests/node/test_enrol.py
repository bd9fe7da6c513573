"""Enrolment: born once, bound once; approval by fingerprint; who is believed to be the coordinator."""

import hashlib
import stat
import subprocess
from pathlib import Path

import pytest

from tests.node.coordinator import ENROL, Answer, Asked, Authority, Coordinator, in_turn, refusal
from tests.node.machine import Machine, words

CREDENTIAL = "etc/kubeseed/credential"


def enrolments(coordinator: Coordinator) -> list[Asked]:
    return [asked for asked in coordinator.asked if asked.route == "/v1/enrol"]


def test_a_sealed_seed_binds_the_digest_of_a_credential_born_on_the_node(
    machine: Machine, coordinator: Coordinator
) -> None:
    status, output = machine.boot()
    credential = machine.read(CREDENTIAL)
    form = enrolments(coordinator)[0].form
    assert status == 0, output
    assert len(credential) == 64
    assert int(credential, 16)
    assert form["digest"] == [hashlib.sha256(credential.encode()).hexdigest()]
    assert (form["node"], form["generation"], form["os"]) == (["m1"], ["1"], ["debian 12"])
    assert form["arch"] == [subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()]
    for name in (CREDENTIAL, "etc/kubeseed/node.curl"):
        assert stat.S_IMODE(machine.path(name).stat().st_mode) == 0o600
    assert machine.read("etc/kubeseed/node.curl") == f'header = "Authorization: Node m1:{credential}"\n'


def test_a_lost_answer_strands_nobody(machine: Machine, coordinator: Coordinator) -> None:
    bind = coordinator.rules["/v1/enrol"]

    def lose(asked: Asked) -> Answer:
        bind(asked)
        return Answer(0)

    coordinator.rules["/v1/enrol"] = in_turn(lose, lose, bind)
    status, output = machine.boot()
    assert status == 0, output
    assert len(coordinator.digests) == 3
    assert len(set(coordinator.digests)) == 1


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (401, "kubeseed node rearm OUT m1"),
        (409, "Another machine has this node's name"),
        (403, "run kubeseed generate and give it its new seed"),
        (422, "run kubeseed generate and give it its new seed"),
    ],
)
def test_a_refusal_stops_with_a_sentence(machine: Machine, coordinator: Coordinator, code: int, sentence: str) -> None:
    coordinator.rules["/v1/enrol"] = lambda _: refusal(code, "not you")
    status, output = machine.boot()
    assert status == 20
    assert f"/v1/enrol: {code} not you" in words(output)
    assert sentence in words(output)
    assert len(enrolments(coordinator)) == 1


@pytest.mark.parametrize("code", [404, 429, 500, 503])
def test_what_may_pass_is_tried_again(machine: Machine, coordinator: Coordinator, code: int) -> None:
    bind = coordinator.rules["/v1/enrol"]
    coordinator.rules["/v1/enrol"] = in_turn(refusal(code, "later"), bind)
    status, output = machine.boot()
    assert status == 0, output
    assert f"/v1/enrol from {machine.facts['COORDINATORS']}: {code} later" in output


def test_a_seed_without_a_secret_waits_for_approval_of_its_fingerprint(
    machine: Machine, coordinator: Coordinator
) -> None:
    machine.path("etc/kubeseed/enrol.curl").unlink()
    coordinator.rules["/v1/enrol"] = in_turn(*[refusal(202, "waiting", Retry_After="7")] * 4, Answer())
    status, output = machine.boot()
    digest = enrolments(coordinator)[0].form["digest"][0]
    fingerprint = "-".join(digest[start : start + 4] for start in range(0, 20, 4))
    assert status == 0, output
    assert {asked.authorization for asked in enrolments(coordinator)} == {"Pending m1"}
    assert output.count(f"kubeseed approve OUT m1 {fingerprint}") == 1
    assert f"| Its fingerprint is  {fingerprint} " in output
    assert machine.calls("sleep").count("7") == 4


def test_the_fingerprint_is_shown_again_after_a_power_cut(machine: Machine, coordinator: Coordinator) -> None:
    machine.path("etc/kubeseed/enrol.curl").unlink()
    coordinator.rules["/v1/enrol"] = lambda _: refusal(202, "waiting")
    outputs = []
    for _ in range(2):
        machine.start("timeout", "3", "/usr/local/lib/kubeseed/run")
        outputs.append(machine.finish()[1])
    # The runner says at some moment that the stage takes its time.
    boxes = [[line for line in output.splitlines() if line.startswith(("+--", "| "))] for output in outputs]
    assert len(boxes[0]) > 5
    assert boxes[0] == boxes[1]


def test_only_the_root_of_the_seed_is_believed(machine: Machine, tmp_path: Path) -> None:
    """Not even an authority that the whole system trusts may speak for the coordinator."""
    stranger = Authority("a public authority")
    coordinator = Coordinator(tmp_path)
    url = coordinator.serve(machine.listen(), stranger)
    certificates = machine.path("etc/ssl/certs")
    (certificates / "ca-certificates.crt").write_text(stranger.pem())
    (certificates / "stranger.pem").write_text(stranger.pem())
    subprocess.run(["openssl", "rehash", certificates], check=True)
    trusted = ("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"{url}/v1/files")
    assert machine.boot(*trusted) == (0, "200")
    coordinator.asked.clear()
    machine.seed(coordinator.root.pem(), ENROL, COORDINATORS=url)
    status, output = machine.boot("timeout", "5", "/usr/local/lib/kubeseed/run")
    coordinator.close()
    assert status == 124
    assert "enrol ... failed (attempt 1)" in output
    assert "the clock here says" in output
    assert coordinator.asked == []


def test_coordinators_are_tried_in_turn(machine: Machine, coordinator: Coordinator, tmp_path: Path) -> None:
    good = machine.facts["COORDINATORS"]
    impostor = Coordinator(tmp_path)
    false = impostor.serve(machine.listen(), Authority("impostor"))
    dead = machine.listen()
    dead.close()
    machine.seed(coordinator.root.pem(), ENROL, COORDINATORS=f"https://127.0.0.1:{dead.fileno() + 2} {false} {good}")
    status, output = machine.boot()
    impostor.close()
    assert status == 0, output
    assert "failed" not in output
    assert impostor.asked == []


def test_a_proxy_of_the_environment_is_not_used(machine: Machine, coordinator: Coordinator) -> None:
    machine.write("root/.curlrc", "proxy = http://127.0.0.1:1\n")
    machine.start(environment={"https_proxy": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1"})
    status, output = machine.finish()
    assert status == 0, output
