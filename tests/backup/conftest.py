"""Fixtures of the backup tests: an etcd cluster for a module, fresh nodes for a test."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.backup.debian import NotToBeHadError, newer_etcd
from tests.backup.etcd import Cluster, running
from tests.backup.node import Node
from tests.backup.site import authority_of, enrol
from tests.backup.wing import Wing
from tests.http.kubernetes import ApiServer
from tests.http.process import free_port
from tests.http.process import running as coordinating


def free_network() -> str:
    """The first three bytes of loopback addresses that nobody else is likely to use."""
    return f"127.{random.randint(64, 250)}.{random.randint(1, 250)}"


@pytest.fixture(scope="session")
def memory() -> Iterator[Path]:
    """A folder in memory, where there is one: members and nodes wait for no disk."""
    shared = Path("/dev/shm")
    with TemporaryDirectory(prefix="kubeseed-backup-", dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def module_folder(memory: Path) -> Iterator[Path]:
    with TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def folder(memory: Path) -> Iterator[Path]:
    with TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def programs(memory: Path) -> Path:
    """A folder with Debian's etcd and etcdctl."""
    folder = memory / "programs-3.4"
    folder.mkdir()
    for name in ("etcd", "etcdctl"):
        found = shutil.which(name)
        assert found, f"{name} is missing: make packages"
        (folder / name).symlink_to(found)
    return folder


@pytest.fixture(params=["3.4", "3.5"])
def either(request: pytest.FixtureRequest, programs: Path) -> Path:
    """The programs of etcd 3.4, which has etcdctl alone, and of 3.5, whose etcdutl judges and restores snapshots."""
    if request.param == "3.4":
        return programs
    try:
        return newer_etcd()
    except NotToBeHadError as error:
        pytest.skip(f"no etcd 3.5: {error}")


@pytest.fixture(scope="module")
def cluster(module_folder: Path, programs: Path) -> Iterator[Cluster]:
    with running(module_folder, free_network(), programs) as cluster:
        cluster.put_many(0, 300)
        yield cluster


@pytest.fixture
def nodes(cluster: Cluster, folder: Path) -> dict[str, Node]:
    """A fresh node for each member; no copy was ever taken."""
    cluster.start()
    cluster.members[0].etcdctl("del", "kubeseed/backup")
    return {member.name: Node(folder / member.name, member) for member in cluster.members}


@pytest.fixture(scope="module")
def building(module_folder: Path, programs: Path) -> Iterator[Wing]:
    """The coordinator and the cluster, which every test of this module restores anew; nodes come with the test."""
    api = ApiServer(module_folder, free_port())
    with coordinating(module_folder / "site", api_servers=[f"127.0.0.1:{api.cluster.port}"]) as coordinator:
        machines = {name: coordinator.machine(name).enrolled() for name in ("m1", "m2", "m3")}
        machines["m1"].initialise()
        with running(module_folder / "etcd", free_network(), programs, 3, authority_of(machines["m1"])) as cluster:
            cluster.put_many(0, 300)
            yield Wing(coordinator, cluster, machines, api, [])


@pytest.fixture
def wing(building: Wing, folder: Path) -> Wing:
    cluster, coordinator = building.cluster, building.coordinator
    if coordinator.status()["init"]["state"] != "complete":
        building.machines["m1"].initialise()
    coordinator.order("/restore/disarm")
    cluster.start()
    shutil.rmtree(coordinator.out.root / "state/backups/copies")
    (coordinator.out.root / "state/backups/copies").mkdir(mode=0o700)
    cluster.members[0].etcdctl("del", "kubeseed/backup")
    cluster.members[0].etcdctl("del", "--prefix", "later")
    nodes = [Node(folder / f"node-{member.name}", member) for member in cluster.members]
    for node in nodes:
        node.configure(BACKUP_UPLOAD="coordinator", COORDINATORS=f"https://127.0.0.1:{coordinator.port}")
        enrol(node, coordinator, building.machines[node.member.name])
    return Wing(coordinator, cluster, building.machines, building.api, nodes)
