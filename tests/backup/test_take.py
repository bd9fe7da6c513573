"""One copy for the cluster, taken by the right member, with everything in it and nobody else able to read it."""

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from tests.backup.conftest import free_network
from tests.backup.etcd import Cluster, running
from tests.backup.node import Node

pytestmark = pytest.mark.judge


def taken(nodes: dict[str, Node]) -> dict[str, list[str]]:
    return {name: node.ids() for name, node in nodes.items() if node.ids()}


def test_of_three_members_the_lowest_that_does_not_lead_takes_one_copy(
    cluster: Cluster, nodes: dict[str, Node]
) -> None:
    for _ in range(2):
        for node in nodes.values():
            node.backup("due")
    assert {name: len(ids) for name, ids in taken(nodes).items()} == {cluster.turn.name: 1}


def test_a_copy_holds_the_snapshot_the_configuration_and_what_they_are(
    cluster: Cluster, nodes: dict[str, Node]
) -> None:
    node = nodes[cluster.turn.name]
    node.backup("now")
    copy = node.copies / node.ids()[0]
    manifest = json.loads((copy / "manifest.json").read_text())
    assert manifest["cluster"] == "prod"
    assert manifest["etcdVersion"] == cluster.turn.fields()["Version"]
    assert manifest["etcdClusterId"] == cluster.turn.fields()["ClusterID"]
    assert sorted(manifest["initialCluster"].split(",")) == sorted(cluster.initial.split(","))
    assert manifest["revision"] > 3
    assert manifest["totalKey"] >= 300
    for file in manifest["files"]:
        content = (copy / file["name"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
    with tarfile.open(copy / "config.tar.gz") as archive:
        assert {"etc/kubernetes/pki/etcd/ca.key", "var/lib/kubelet/config.yaml", "etc/kubeseed/node.conf"} <= set(
            archive.getnames()
        )


def test_nobody_but_root_can_read_a_copy(cluster: Cluster, nodes: dict[str, Node]) -> None:
    node = nodes[cluster.turn.name]
    node.backup("now")
    copy = node.copies / node.ids()[0]
    assert [oct(path.stat().st_mode & 0o7777) for path in (node.copies, copy)] == ["0o700", "0o700"]
    assert {oct(path.stat().st_mode & 0o7777) for path in copy.iterdir()} == {"0o600"}


def test_tools_of_another_version_are_replaced_by_those_of_the_running_etcd(
    cluster: Cluster, nodes: dict[str, Node]
) -> None:
    node = nodes[cluster.turn.name]
    (node.library / "bin/etcdctl").unlink()
    node.shim("etcdctl", '[ "$1" != version ] || { echo "etcdctl version: 3.3.27"; exit; }\nexec /etcd/etcdctl "$@"')
    node.backup("now")
    copied = node.library / "bin/etcdctl"
    assert not copied.is_symlink()
    assert copied.read_bytes() == (cluster.turn.programs / "etcdctl").read_bytes()
    assert len(node.ids()) == 1


def test_a_member_that_is_left_alone_takes_a_copy_that_can_be_restored(folder: Path, either: Path) -> None:
    """The others and their disks are gone: what it has is newer than any copy."""
    with running(folder / "etcd", free_network(), either) as cluster:
        cluster.put_many(0, 300)
        node = Node(folder / "node", cluster.members[0])
        (node.root / "etc/kubeseed/etcd").mkdir()
        (node.root / "etc/kubeseed/etcd/etcd.yaml").write_text(f"initial-cluster: {cluster.initial}\n")
        for member in cluster.members[1:]:
            member.stop()
        node.backup("now")
        name = node.ids()[0]
        manifest = json.loads((node.copies / name / "manifest.json").read_text())
        assert sorted(manifest["initialCluster"].split(",")) == sorted(cluster.initial.split(","))
        judged = node.run("restore", "--check", name)
        assert judged.code == 0, judged.output
