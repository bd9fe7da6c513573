"""Blank masters: a restore that is armed for them, what it is not armed for, and how they get the data back."""

import shutil
import time

import pytest

from http_server.kubernetes_api import BREAK_SECONDS
from tests.backup.etcd import Cluster
from tests.backup.site import kubeseed
from tests.backup.wing import Wing, count
from tests.http.process import unpack

pytestmark = pytest.mark.judge


def test_blank_machines_get_the_data_back(wing: Wing) -> None:
    name = wing.backup()
    for node in wing.nodes:
        node.member.stop()
        shutil.rmtree(node.member.data)
        node.member.data.mkdir()
        shutil.rmtree(node.copies)
        node.copies.mkdir()
    assert kubeseed("restore", wing.out, "--from", name, "--reinstalled").returncode == 0
    assert wing.coordinator.status()["init"]["state"] == "none"
    assert wing.machines["m1"].post("/v1/init/claim").json() == {"epoch": 1, "state": "claimed"}

    outcomes = wing.on_all("restore", "--armed", "--data-only")
    assert [outcome.code for outcome in outcomes] == [0, 0, 0], [outcome.output for outcome in outcomes]
    assert wing.armed()["done"] == [], "nobody is done before its member runs"
    wing.cluster.start()
    assert count(wing.cluster, "key-") == 300
    wing.tick()
    assert sorted(wing.armed()["done"]) == ["m1", "m2", "m3"]  # type: ignore[call-overload]


def test_with_stacked_etcd_the_first_blank_master_alone_gets_the_data_back(wing: Wing) -> None:
    """kubeadm starts its etcd on them, and joins the members of the others: here the test does, in its place."""
    name = wing.backup()
    for node in wing.nodes:
        conf = node.root / "etc/kubeseed/node.conf"
        conf.write_text(conf.read_text().replace("ETCD_TOPOLOGY='external'", "ETCD_TOPOLOGY='stacked'"))
        node.member.stop()
        shutil.rmtree(node.member.data)
        node.member.data.mkdir()
    assert kubeseed("restore", wing.out, "--from", name, "--reinstalled").returncode == 0
    first, *others = wing.nodes
    done = first.run("restore", "--armed", "--data-only")
    assert done.code == 0, done.output

    shutil.rmtree(first.member.data / "member")  # what kubeadm reset does after an init that broke off
    assert first.run("restore", "--armed", "--data-only").code == 0
    first.member.start(first.member.peer)
    Cluster(wing.cluster.authority, [first.member]).wait()
    assert len(first.member.etcdctl("get", "key-", "--prefix", "--keys-only").split()) == 300
    assert len(first.member.etcdctl("member", "list").splitlines()) == 1

    began = [node.member.data.stat().st_mtime_ns for node in others]
    outcomes = wing.tick()
    assert [outcome.code for outcome in outcomes[:1]] == [0], outcomes[0].output
    assert sorted(wing.armed()["done"]) == ["m1", "m2", "m3"]  # type: ignore[call-overload]
    assert [node.member.data.stat().st_mtime_ns for node in others] == began, "nothing was done to those that join"
    assert len(first.member.etcdctl("get", "key-", "--prefix", "--keys-only").split()) == 300
    first.member.stop()
    for node in wing.nodes:
        shutil.rmtree(node.member.data)
    wing.cluster.start()
    wing.cluster.put_many(0, 300)


def test_an_order_for_blank_masters_stands_until_the_first_one_has_its_data(wing: Wing) -> None:
    wing.backup()
    assert kubeseed("restore", wing.out, "--from", "newest", "--reinstalled").returncode == 0
    told = kubeseed("restore", wing.out, "--disarm")
    assert told.returncode == 3
    assert "without this order the first master would make an empty cluster" in told.stderr
    assert wing.machines["m1"].get("/v1/restore").status_code == 200
    wing.machines["m1"].initialise()
    assert kubeseed("restore", wing.out, "--disarm").stdout == "disarmed\n"


def test_masters_of_a_cluster_that_answers_are_not_blank(wing: Wing) -> None:
    name = wing.backup()
    keys = unpack(wing.machines["m1"].get("/v1/pki").content)
    wing.api.start(keys["pki/ca.crt"], keys["pki/ca.key"])
    try:
        time.sleep(BREAK_SECONDS)  # so long the coordinator believes that nobody answers, if it has asked just before
        told = kubeseed("restore", wing.out, "--from", name, "--reinstalled")
        assert told.returncode == 3
        assert "an API server of this cluster answers" in told.stderr
        assert (wing.coordinator.status()["init"]["state"], wing.coordinator.status()["restore"]) == ("complete", None)
        assert kubeseed("restore", wing.out, "--from", name, "--reinstalled", "--force").returncode == 0
    finally:
        wing.api.stop()


def test_a_first_master_that_has_its_disk_still_says_that_the_order_is_for_blank_ones(wing: Wing) -> None:
    wing.backup()
    for member in wing.cluster.members:
        member.stop()
    assert kubeseed("restore", wing.out, "--from", "newest", "--reinstalled").returncode == 0
    first = wing.nodes[0]
    made = first.root / "var/lib/kubeseed/init-complete"
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_text("1\n")
    told = first.run("backup", "due")
    assert told.code == 1
    assert "the order is for blank masters, and m1 made this cluster once" in told.output
    assert "Nothing was changed" in told.output
    assert (first.member.data / "member").exists()
