"""A restore that the operator arms: every member does it by itself, once; blank machines get the cluster back."""

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from http_server.order import VALID_SECONDS, Order
from tests.backup.conftest import free_network
from tests.backup.etcd import Cluster, running
from tests.backup.managed import managed
from tests.backup.node import Node, Outcome
from tests.backup.site import authority_of, enrol, kubeseed
from tests.http.process import Coordinator, Machine
from tests.http.process import running as coordinating

pytestmark = pytest.mark.judge


@dataclass(frozen=True)
class Wing:
    """Three nodes with their members, and the coordinator that holds their backups."""

    coordinator: Coordinator
    cluster: Cluster
    machines: dict[str, Machine]
    nodes: list[Node]

    @property
    def out(self) -> str:
        return str(self.coordinator.out.root)

    def tick(self) -> list[Outcome]:
        """What the timer does on all nodes at once."""
        return self.on_all("backup", "due")

    def on_all(self, program: str, *arguments: str) -> list[Outcome]:
        with managed(self.nodes, self.cluster), ThreadPoolExecutor(3) as pool:
            return list(pool.map(lambda node: node.run(program, *arguments), self.nodes))

    def backup(self) -> str:
        """A backup that the coordinator holds."""
        taker = next(node for node in self.nodes if node.member is self.cluster.turn)
        taker.backup("now")
        return taker.ids()[-1]

    def armed(self) -> dict[str, object]:
        found: dict[str, object] = self.coordinator.status()["restore"]
        return found


@pytest.fixture(scope="module")
def building(module_folder: Path, programs: Path) -> Iterator[Wing]:
    """The coordinator and the cluster, which every test of this module restores anew; nodes come with the test."""
    with coordinating(module_folder / "site") as coordinator:
        machines = {name: coordinator.machine(name).enrolled() for name in ("m1", "m2", "m3")}
        machines["m1"].initialise()
        with running(module_folder / "etcd", free_network(), programs, 3, authority_of(machines["m1"])) as cluster:
            cluster.put_many(0, 300)
            yield Wing(coordinator, cluster, machines, [])


@pytest.fixture
def wing(building: Wing, folder: Path) -> Wing:
    cluster, coordinator = building.cluster, building.coordinator
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
    return Wing(coordinator, cluster, building.machines, nodes)


def write_later(cluster: Cluster) -> None:
    """Keys that no backup of the test holds."""
    for number in range(5):
        cluster.members[0].etcdctl("put", f"later-{number}", "x")


def count(cluster: Cluster, prefix: str) -> int:
    return len(cluster.members[2].etcdctl("get", prefix, "--prefix", "--keys-only").split())


def test_every_member_restores_once(wing: Wing) -> None:
    name = wing.backup()
    write_later(wing.cluster)
    for member in wing.cluster.members[:2]:
        member.stop()
    armed = kubeseed("restore", wing.out, "--from", "newest")
    assert armed.returncode == 0, armed.stderr
    assert wing.machines["m1"].get("/v1/restore").text.startswith(f"backup={name}\n")

    outcomes = wing.tick()
    assert [outcome.code for outcome in outcomes] == [0, 0, 0], [outcome.output for outcome in outcomes]
    member = wing.cluster.members[0]
    assert (count(wing.cluster, "key-"), count(wing.cluster, "later-")) == (300, 0)
    assert sorted(wing.armed()["done"]) == ["m1", "m2", "m3"]  # type: ignore[call-overload]

    member.etcdctl("put", "later", "1")
    assert wing.machines["m1"].get("/v1/restore").status_code == 404
    wing.tick()
    assert member.etcdctl("get", "later", "--print-value-only") == "1\n"
    told = [(row["action"], row["node"]) for row in wing.coordinator.events() if row["action"].startswith("restore-")]
    assert ("restore-armed", "") in told
    assert {("restore-done", name) for name in ("m1", "m2", "m3")} <= set(told)


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


def test_a_living_cluster_that_is_newer_refuses_and_says_so(wing: Wing) -> None:
    wing.backup()
    write_later(wing.cluster)
    kubeseed("restore", wing.out, "--from", "newest")
    assert [outcome.code for outcome in wing.tick()] == [1, 1, 1]
    stage = wing.coordinator.status()["nodes"]["m1"]["stages"]["backup"]
    assert stage["state"] == "failed"
    assert "restore refused: etcd is alive, at revision" in stage["log"]
    assert wing.armed()["done"] == []

    assert kubeseed("restore", wing.out, "--disarm").stdout == "disarmed\n"
    outcomes = wing.tick()
    assert [outcome.code for outcome in outcomes] == [0, 0, 0], [outcome.output for outcome in outcomes]


def test_an_encrypted_backup_needs_its_content_key(wing: Wing, folder: Path) -> None:
    pair = ["-keyout", str(folder / "backup.key"), "-out", str(folder / "backup.crt")]
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=backup", *pair]
    subprocess.run(request, check=True, capture_output=True)
    for node in wing.nodes:
        shutil.copy(folder / "backup.crt", node.root / "etc/kubeseed/backup.crt")
    name = wing.backup()
    without = kubeseed("restore", wing.out, "--from", name)
    assert without.returncode == 3
    assert "its content key is wanted" in without.stderr

    sealed, opened = folder / "fetched" / name / "key.cms", folder / "content.key"
    kubeseed("backup", "fetch", wing.out, name, "--to", str(folder / "fetched"))
    cms = ["openssl", "cms", "-decrypt", "-inform", "DER", "-in", str(sealed), "-inkey", str(folder / "backup.key")]
    subprocess.run([*cms, "-out", str(opened)], check=True, capture_output=True)
    (folder / "other.key").write_text("0" * 64 + "\n")
    wrong = kubeseed("restore", wing.out, "--from", name, "--force", "--content-key", str(folder / "other.key"))
    assert (wrong.returncode, wing.coordinator.status()["restore"]) == (3, None)
    assert f"other.key does not open {name}" in wrong.stderr
    armed = kubeseed("restore", wing.out, "--from", name, "--force", "--content-key", str(opened))
    assert armed.returncode == 0, armed.stderr
    secret = opened.read_text().strip()
    assert secret not in (wing.coordinator.out.root / "state" / "restore.json").read_text()
    assert secret not in wing.coordinator.log
    write_later(wing.cluster)
    assert wing.machines["m1"].get("/v1/restore/config.tar.gz.enc").status_code == 404
    assert wing.machines["m1"].get("/v1/restore/snapshot.db.enc").status_code == 200

    outcomes = wing.tick()
    assert [outcome.code for outcome in outcomes] == [0, 0, 0], [outcome.output for outcome in outcomes]
    assert not any((node.copies / ".armed").exists() for node in wing.nodes)
    assert (count(wing.cluster, "key-"), count(wing.cluster, "later-")) == (300, 0)
    for node in wing.nodes:
        left = [path for path in node.root.glob("run/**/*") if path.is_file() and secret in path.read_text("latin-1")]
        assert left == [], "no key stays behind"


def test_what_is_not_there_or_not_whole_is_not_armed(wing: Wing) -> None:
    assert "there is no backup yet" in kubeseed("restore", wing.out, "--from", "newest").stderr
    assert (
        "there is no backup 20200101T000000Z-m1"
        in kubeseed("restore", wing.out, "--from", "20200101T000000Z-m1").stderr
    )
    assert kubeseed("restore", wing.out).returncode == 2
    name = wing.backup()
    snapshot = Path(wing.out) / "state" / "backups" / "copies" / name / "snapshot.db"
    snapshot.write_bytes(snapshot.read_bytes()[:-1])
    told = kubeseed("restore", wing.out, "--from", name)
    assert told.returncode == 3
    assert "its manifest says" in told.stderr
    assert wing.coordinator.status()["restore"] is None


def test_an_order_is_void_after_a_day_and_for_those_who_did_it() -> None:
    order = Order(
        backup="20300101T000000Z-m1", attempt=1, force=False, members="", sealedKey="", epoch=1, at=1000.0, done=("m1",)
    )  # fmt: skip
    assert order.open_for("m2", 1000.0)
    assert not order.open_for("m1", 1000.0)
    assert not order.open_for("m2", 999.0)
    assert not order.open_for("m2", 1000.0 + VALID_SECONDS)
