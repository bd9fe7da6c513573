"""Exactly one init: who may claim it, what is delivered when, and what a lost first master can never do."""

import hashlib

import pytest

from tests.http.process import Coordinator, unpack
from tests.http.wait import wait_for

PRIVATE = {"pki/ca.key", "pki/front-proxy-ca.key", "pki/etcd/ca.key", "pki/sa.key", "encryption.yaml"}
PUBLIC = {"pki/ca.crt", "pki/front-proxy-ca.crt", "pki/etcd/ca.crt", "pki/sa.pub"}


def test_the_first_master_claims_gets_the_keys_and_completes(coordinator: Coordinator) -> None:
    first = coordinator.machine("m1").enrolled()
    assert first.post("/v1/init/claim").json() == {"epoch": 1, "state": "claimed"}
    delivered = first.get("/v1/pki")
    assert delivered.headers["x-epoch"] == "1"
    files = unpack(delivered.content)
    assert set(files) == PRIVATE | PUBLIC
    assert first.post("/v1/init/claim").json() == {"epoch": 1, "state": "pki-delivered"}
    assert first.complete(1, ca_digest=hashlib.sha256(files["pki/ca.crt"]).hexdigest()).status_code == 200
    assert coordinator.status()["init"] == {"epoch": 1, "state": "complete", "node": "m1", "etcdCluster": "cafe"}


def test_every_step_may_be_repeated(coordinator: Coordinator) -> None:
    first = coordinator.machine("m1").enrolled()
    assert len({first.post("/v1/init/claim").text for _ in range(3)}) == 1
    assert first.get("/v1/pki").content == first.get("/v1/pki").content
    assert [first.complete(1).status_code for _ in range(3)] == [200, 200, 200]
    assert first.complete(1, etcd_cluster="").status_code == 200
    assert first.complete(1, etcd_cluster="beef").status_code == 409
    assert first.get("/v1/pki").status_code == 200
    steps = [row["action"] for row in coordinator.events() if row["action"] in {"init-claimed", "init-complete"}]
    assert steps == ["init-claimed", "init-complete"]


def test_modes_in_the_archive_keep_keys_private(coordinator: Coordinator) -> None:
    import io
    import tarfile

    first = coordinator.machine("m1").enrolled()
    first.post("/v1/init/claim")
    with tarfile.open(fileobj=io.BytesIO(first.get("/v1/pki").content)) as archive:
        modes = {member.name: member.mode for member in archive}
        assert all(member.isreg() and member.uid == 0 and member.mtime == 0 for member in archive)
    assert modes == {name: 0o600 if name in PRIVATE else 0o644 for name in PRIVATE | PUBLIC}


def test_nothing_is_delivered_or_completed_without_a_claim(coordinator: Coordinator) -> None:
    first = coordinator.machine("m1").enrolled()
    assert first.get("/v1/pki").json()["error"] == "not-claimed"
    assert first.complete(1).json()["error"] == "other-epoch"
    first.post("/v1/init/claim")
    assert first.complete(1).json()["error"] == "wrong-state"
    assert coordinator.status()["init"]["state"] == "claimed"


def test_joining_masters_wait_and_workers_never_get_a_key(coordinator: Coordinator) -> None:
    second, worker = coordinator.machine("m2").enrolled(), coordinator.machine("w1").enrolled()
    waiting = second.get("/v1/pki")
    assert (waiting.status_code, waiting.text) == (202, "waiting for the first master\n")
    coordinator.machine("m1").enrolled().initialise()
    assert set(unpack(second.get("/v1/pki").content)) == PRIVATE | PUBLIC
    refused = worker.get("/v1/pki")
    assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")


def test_everybody_gets_the_same_authorities(coordinator: Coordinator) -> None:
    first, worker = coordinator.machine("m1").enrolled(), coordinator.machine("w1").enrolled()
    public = worker.authorities()
    assert set(public) == {"ca.crt", "front-proxy-ca.crt", "etcd-ca.crt"}
    first.initialise()
    private = unpack(first.get("/v1/pki").content)
    assert public["ca.crt"] == private["pki/ca.crt"]
    assert public["etcd-ca.crt"] == private["pki/etcd/ca.crt"]
    assert len(set(public.values())) == 3


def test_another_ca_cannot_complete(coordinator: Coordinator) -> None:
    first = coordinator.machine("m1").enrolled()
    first.post("/v1/init/claim")
    first.get("/v1/pki")
    answer = first.complete(1, ca_digest="0" * 64)
    assert (answer.status_code, answer.json()["error"]) == (409, "other-ca")
    assert any(row["action"] == "init-refused" and row["outcome"] == "alarm" for row in coordinator.events())


def test_reassigned_init_has_new_keys_and_the_old_epoch_never_completes(coordinator: Coordinator) -> None:
    first = coordinator.machine("m1").enrolled()
    first.post("/v1/init/claim")
    before = unpack(first.get("/v1/pki").content)
    assert coordinator.order("/init/reassign").json() == {"epoch": 2}
    assert first.complete(1, ca_digest=hashlib.sha256(before["pki/ca.crt"]).hexdigest()).status_code == 409
    assert first.post("/v1/init/claim").json() == {"epoch": 2, "state": "claimed"}
    after = unpack(first.get("/v1/pki").content)
    assert not {before[name] for name in before} & {after[name] for name in after}
    assert first.complete(2).status_code == 200
    assert coordinator.order("/init/reassign").status_code == 409


def test_another_first_master_does_not_take_over_a_claim(coordinator: Coordinator) -> None:
    old, new = coordinator.machine("m1").enrolled(), coordinator.machine("m2").enrolled()
    old.post("/v1/init/claim")
    coordinator.out.inventory["firstMaster"] = "m2"
    coordinator.out.write_inventory()
    wait_for(lambda: old.post("/v1/init/claim").status_code == 403)
    assert new.post("/v1/init/claim").json()["error"] == "claimed-by-another"
    coordinator.order("/init/reassign")
    assert new.post("/v1/init/claim").json() == {"epoch": 2, "state": "claimed"}
    assert old.complete(1).status_code == 403


@pytest.mark.parametrize("path", ["/v1/init/claim", "/v1/init/complete"])
@pytest.mark.parametrize("name", ["m2", "w1"])
def test_nobody_else_may_init(coordinator: Coordinator, path: str, name: str) -> None:
    assert coordinator.machine(name).enrolled().post(path, {"epoch": "1"}).status_code == 403


def test_the_encryption_configuration_is_kubernetes_own(coordinator: Coordinator) -> None:
    import base64

    import yaml

    first = coordinator.machine("m1").enrolled()
    first.post("/v1/init/claim")
    document = yaml.safe_load(unpack(first.get("/v1/pki").content)["encryption.yaml"])
    assert document["kind"] == "EncryptionConfiguration"
    (rule,) = document["resources"]
    assert rule["resources"] == ["secrets"]
    assert [next(iter(provider)) for provider in rule["providers"]] == ["aescbc", "identity"]
    assert len(base64.b64decode(rule["providers"][0]["aescbc"]["keys"][0]["secret"])) == 32
