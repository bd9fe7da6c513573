"""Debian's etcd forms a cluster from our files and the coordinator's certificates, and lets nobody else in."""

import json
import shutil
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from generator.plan.etcd import plan_member, plan_members
from generator.render.etcd import render_etcd
from tests.example import NODES, example
from tests.judge.network import Machine, machines
from tests.judge.pki import make_authorities, write_pki

pytestmark = pytest.mark.judge
CLUSTER = example(nodes=[*NODES[:3], {"name": "w1", "roles": ["worker"], "address": "192.168.77.21"}])
MEMBERS = CLUSTER.etcd_members


@dataclass(frozen=True)
class Etcd:
    """Three members that know each other."""

    nodes: dict[str, Machine]
    folder: Path

    def ask(self, node: str, *words: str, kind: str = "etcd/healthcheck-client") -> subprocess.CompletedProcess[str]:
        """etcdctl on a node, with one of its certificates."""
        pki = self.folder / node / "pki"
        own: list[str | Path] = ["--cert", f"{pki / kind}.crt", "--key", f"{pki / kind}.key"] if kind else []
        common: list[str | Path] = [
            "--cacert",
            pki / "etcd/ca.crt",
            "--endpoints",
            "https://127.0.0.1:2379",
            "--command-timeout",
            "4s",
        ]
        return self.nodes[node].call(["etcdctl", *common, *own, *words], ETCDCTL_API="3")


def configuration(number: int, folder: Path) -> Path:
    node = MEMBERS[number]
    said = render_etcd(plan_member(node), plan_members(CLUSTER), str(folder / "data")).data.decode()
    (folder / "etcd.yaml").write_text(said.replace("/etc/kubernetes/pki", str(folder / "pki")))
    return folder / "etcd.yaml"


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    if not shutil.which("etcd"):
        pytest.skip("no etcd on this machine")
    folder, authorities = tmp_path_factory.mktemp("etcd"), make_authorities()
    for node in CLUSTER.nodes:
        write_pki(CLUSTER, node, authorities, folder / node.name / "pki", keys=False)
    with machines({node.name: f"{node.address}/24" for node in CLUSTER.nodes}) as made:
        for number, node in enumerate(MEMBERS):
            home = folder / node.name
            made[node.name].start(["etcd", "--config-file", configuration(number, home)], home / "log")
        running = Etcd(made, folder)
        deadline = time.monotonic() + 60
        while running.ask("m1", "endpoint", "health", "--cluster").returncode and time.monotonic() < deadline:
            time.sleep(1)
        yield running


def test_three_members_find_each_other(etcd: Etcd) -> None:
    health = etcd.ask("m1", "endpoint", "health", "--cluster")
    assert health.returncode == 0, health.stderr + (etcd.folder / "m1" / "log").read_text()[-2000:]
    members = json.loads(etcd.ask("m2", "member", "list", "--write-out", "json").stdout)["members"]
    assert sorted(member["name"] for member in members) == ["etcd-m1", "etcd-m2", "etcd-m3"]
    assert {urllib.parse.urlsplit(url).scheme for member in members for url in member["clientURLs"]} == {"https"}


def test_a_key_written_on_one_is_read_on_another(etcd: Etcd) -> None:
    assert etcd.ask("m1", "put", "hello", "world", kind="apiserver-etcd-client").returncode == 0
    assert "world" in etcd.ask("m3", "get", "hello").stdout


@pytest.mark.parametrize("kind", ["", "kubelet-serving", "admin"])
def test_nobody_gets_in_without_a_certificate_of_etcds_own_authority(etcd: Etcd, kind: str) -> None:
    assert etcd.ask("m1", "get", "hello", kind=kind).returncode != 0


def test_our_tuning_is_in_force(etcd: Etcd) -> None:
    metrics = etcd.nodes["m1"].call(["curl", "-sf", "http://127.0.0.1:2381/metrics"]).stdout
    assert "etcd_server_quota_backend_bytes 8.589934592e+09" in metrics
    assert "etcd_server_has_leader 1" in metrics
    log = (etcd.folder / "m1" / "log").read_text()
    assert '"snapshot-count":10000' in log
    assert '"auto-compaction-retention":"1h0m0s"' in log
    assert "unrecognized" not in log.lower()


def test_the_node_scripts_can_ask_it(etcd: Etcd) -> None:
    """They have curl and no etcdctl; a configuration file of 3.4 switches its JSON off unless it says otherwise."""
    pki = etcd.folder / "m1/pki/etcd"
    pair: list[str | Path] = ["--cert", pki / "healthcheck-client.crt", "--key", pki / "healthcheck-client.key"]
    url = f"https://{MEMBERS[0].address}:2379/v3/maintenance/status"
    told = etcd.nodes["m1"].call(["curl", "-sSf", "--cacert", pki / "ca.crt", *pair, "-d", "{}", url])
    assert "cluster_id" in told.stdout, told.stderr


def test_it_can_say_no(etcd: Etcd, tmp_path: Path) -> None:
    wrong = tmp_path / "etcd.yaml"
    said = (etcd.folder / "m1" / "etcd.yaml").read_text()
    wrong.write_text(said.replace("auto-compaction-retention: '1'", "auto-compaction-retention: soon"))
    assert wrong.read_text() != said
    assert etcd.nodes["w1"].call(["etcd", "--config-file", wrong]).returncode != 0
