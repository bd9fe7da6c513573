"""Scenario A: one master with stacked etcd becomes Ready, about as fast as kubeadm by hand."""

import time
from pathlib import Path

import pytest

from tests.cluster.checks import check_everything
from tests.cluster.place import Cluster
from tests.cluster.proof import note
from tests.cluster.spec import Shape

pytestmark = [pytest.mark.cluster_core, pytest.mark.timeout(1800)]

SHAPE = Shape("a")
OVERHEAD = 1.15


@pytest.fixture(scope="module")
def alone(made: Cluster) -> Cluster:
    made.power_on(["m1"])
    made.until_ready(["m1"])
    made.until_done(["m1"])
    return made


# Comes first: what is made by hand has the computer to itself, and is gone when ours begins.
@pytest.mark.cluster
def test_it_is_ready_about_as_soon_as_by_hand(by_hand: float, alone: Cluster) -> None:
    ours = alone.ready["m1"]
    note("A", f"1 master, stacked etcd, container: Ready {ours:.1f} s after power-on; by hand {by_hand:.1f} s")
    assert ours <= by_hand * OVERHEAD


def test_it_is_ready(alone: Cluster) -> None:
    assert alone.ready_nodes() == ("m1",)


def test_its_control_plane_is_healthy(alone: Cluster) -> None:
    told = alone.kubectl("m1", "get", "pods", "-n", "kube-system", "-o", "jsonpath={.items[*].metadata.name}")
    for part in ("etcd-m1", "kube-apiserver-m1", "kube-controller-manager-m1", "kube-scheduler-m1"):
        assert part in told.split()
    alone.until_healthy(["m1"])


def test_secrets_in_etcd_are_encrypted(alone: Cluster) -> None:
    alone.kubectl("m1", "create", "secret", "generic", "canary", "--from-literal=key=etcd-canary-text")
    stored = alone.etcd("m1", "get", "/registry/secrets/default/canary", "--hex=false")
    assert "etcd-canary-text" not in str(stored)


def test_certificates_keys_tokens_and_silence(alone: Cluster, tmp_path: Path) -> None:
    check_everything(alone, "m1", tmp_path)


def test_a_reboot_changes_nothing(alone: Cluster) -> None:
    alone.site.shut_down("m1")
    began = time.monotonic()
    alone.power_on(["m1"])
    alone.until_healthy(["m1"], 300)
    alone.until_ready(["m1"])
    note("A", f"after a reboot its API server is healthy and the node Ready in {time.monotonic() - began:.0f} s")
