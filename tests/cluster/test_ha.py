"""Scenario B: three masters and a worker; the first master goes, the cluster stays, and grows."""

import time
from pathlib import Path

import pytest

from tests.cluster.checks import check_everything
from tests.cluster.place import Cluster
from tests.cluster.proof import note
from tests.cluster.spec import Shape
from tests.lab.wait import until

pytestmark = [pytest.mark.cluster_core, pytest.mark.timeout(3600)]

SHAPE = Shape("b", masters=3, workers=1)


@pytest.fixture(scope="module")
def ha(made: Cluster) -> Cluster:
    made.power_on(made.shape.names)
    made.until_ready(made.shape.names)
    made.until_done(made.shape.names)
    return made


def test_all_nodes_are_ready(ha: Cluster) -> None:
    assert set(ha.ready_nodes()) == set(ha.shape.names)
    times = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in sorted(ha.ready.items()))
    note("B", f"3 masters + 1 worker, stacked etcd, haproxy on every node, containers: Ready after {times}")


def test_etcd_has_three_members_of_one_cluster(ha: Cluster) -> None:
    members = ha.etcd("m2", "member", "list")["members"]
    assert sorted(member["name"] for member in members) == ["m1", "m2", "m3"]


def test_certificates_keys_tokens_and_silence(ha: Cluster, tmp_path: Path) -> None:
    check_everything(ha, "m2", tmp_path)


def test_the_first_master_goes_and_the_cluster_stays(ha: Cluster) -> None:
    ha.site.cut_power("m1")
    began = time.monotonic()
    while True:
        told = ha.inside("w1", *_ask_through_own_balancer(ha))
        if told == "ok":
            break
        assert time.monotonic() - began < 120, "the worker's balancer finds no API server"
        time.sleep(0.5)
    assert "m2" in ha.kubectl("m2", "get", "nodes", "-o", "name")
    note("B", f"first master cut off: API through the worker's own balancer after {time.monotonic() - began:.1f} s")


def _ask_through_own_balancer(ha: Cluster) -> list[str]:
    assert ha.root("w1").exists()
    quiet = "curl -s --max-time 3 --cacert /etc/kubernetes/pki/ca.crt https://127.0.0.1:8443/healthz || :"
    return ["sh", "-c", quiet]


def test_a_new_worker_joins_while_the_first_master_is_off(ha: Cluster) -> None:
    new = ha.grow()
    ha.power_on([new])
    ha.until_ready([new])
    ha.until_done([new])
    assert not ha.on("m1")
    until("Kubernetes has noticed that m1 is off", lambda: "m1" not in ha.ready_nodes(), 120)
    note("B", f"a worker added to the spec while the first master is off: Ready after {ha.ready[new]:.0f} s")


def test_the_first_master_comes_back(ha: Cluster) -> None:
    ha.power_on(["m1"])
    ha.until_healthy(["m1"], 300)
    ha.until_ready(["m1"])
