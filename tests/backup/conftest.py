"""Fixtures of the backup tests: an etcd cluster for a module, fresh nodes for a test."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backup.etcd import Cluster, running
from tests.backup.node import Node


def free_network() -> str:
    """The first three bytes of loopback addresses that nobody else is likely to use."""
    return f"127.{random.randint(64, 250)}.{random.randint(1, 250)}"


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Debian's etcd and etcdctl."""
    folder = tmp_path_factory.mktemp("etcd-programs")
    for name in ("etcd", "etcdctl"):
        found = shutil.which(name)
        assert found, f"{name} is missing: make packages"
        (folder / name).symlink_to(found)
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("etcd"), free_network(), programs) as cluster:
        cluster.put_many(0, 300)
        yield cluster


@pytest.fixture
def nodes(cluster: Cluster, tmp_path: Path) -> dict[str, Node]:
    """A fresh node for each member; no copy was ever taken."""
    cluster.start()
    cluster.members[0].etcdctl("del", "kubeseed/backup")
    return {member.name: Node(tmp_path / member.name, member) for member in cluster.members}
