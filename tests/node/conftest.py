"""Gives a test its machine and its coordinator."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.node.cluster import FILES, Cluster, seed
from tests.node.coordinator import ENROL, Coordinator
from tests.node.machine import Machine, assert_root


@pytest.fixture(scope="session", autouse=True)
def _prerequisites() -> None:
    if reason := assert_root():
        pytest.skip(reason)


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine whose disk is memory: what is tested is the order of writes, not the speed of a disk."""
    with TemporaryDirectory(dir="/dev/shm", prefix="kubeseed-") as folder, Machine(Path(folder)) as machine:
        yield machine


@pytest.fixture
def coordinator(tmp_path: Path, machine: Machine) -> Iterator[Coordinator]:
    """A coordinator on the machine's loopback, and the machine with a sealed seed for it."""
    coordinator = Coordinator(tmp_path)
    url = coordinator.serve(machine.listen())
    machine.seed(coordinator.root.pem(), ENROL, COORDINATORS=url)
    yield coordinator
    coordinator.close()


@pytest.fixture
def cluster(tmp_path: Path, machine: Machine) -> Iterator[Cluster]:
    """A first master with stacked etcd whose image brings Kubernetes and containerd."""
    machine.install_stand_ins("kubernetes")
    machine.write("etc/systemd/system/kubelet.service", "[Service]\nExecStart=kubelet bootstrap-kubelet.conf\n")
    cluster = Cluster(tmp_path, machine, FILES)
    seed(cluster, COORDINATORS=cluster.serve(machine.listen()))
    yield cluster
    cluster.close()
