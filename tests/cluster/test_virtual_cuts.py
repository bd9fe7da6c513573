"""Scenario D in QEMU: the power goes three times, and with it what the disk was not told to keep."""

import time
from functools import partial

import pytest

from tests.cluster.place import Cluster
from tests.cluster.proof import note
from tests.cluster.spec import Shape
from tests.lab.wait import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(5400)]

SHAPE = Shape("v", driver="qemu")
PATIENCE = 1800
# Stage -> the one before it, and seconds from the last word on that until the power goes: kubeadm is at work then.
CUTS = {"files": ("enrol", 0.0), "pki": ("etcd", 2.0), "init": ("pki", 45.0)}


@pytest.fixture(scope="module")
def cut(made: Cluster) -> Cluster:
    made.power_on(["m1"])
    for stage, (before, seconds) in CUTS.items():
        until(f"stage {stage} begins", partial(is_over, made, before), PATIENCE, interval=0.1)
        time.sleep(seconds)
        assert not is_over(made, stage), f"stage {stage} was too quick to be cut"
        made.site.cut_power("m1")
        made.power_on(["m1"])
    made.until_ready(["m1"], PATIENCE)
    made.until_done(["m1"], PATIENCE)
    return made


def is_over(cluster: Cluster, stage: str) -> bool:
    return cluster.site.stage_is("m1", stage, "done", "skipped")


def test_the_cluster_completes(cut: Cluster) -> None:
    # An emulated API server beside another scenario does not answer each time at once.
    until("the node is Ready still", lambda: cut.ready_nodes() == ("m1",), 120)
    seconds = cut.ready["m1"]
    note("D", f"QEMU (TCG), power cut in stages {', '.join(CUTS)}: Ready {seconds:.0f} s after the first power-on")


def test_there_is_one_etcd_member(cut: Cluster) -> None:
    assert [member["name"] for member in cut.etcd("m1", "member", "list")["members"]] == ["m1"]


def test_nothing_alarmed_the_coordinator(cut: Cluster) -> None:
    assert "alarm" not in cut.site.command("events", cut.site.out)
