"""The way back: what was there before the copy is there again, what came after is not, and nothing else is taken for a copy."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.backup.conftest import free_network
from tests.backup.etcd import Authority, Cluster, running
from tests.backup.node import Node, Outcome

pytestmark = pytest.mark.judge

KEYS = 10_000
# The node's service manager: it stops the member by itself, and asks the test to start it, whose child it is.
SYSTEMCTL = """
case "$*" in
'stop kubeseed-etcd') kill -9 "$(cat /etcd.pid)"; rm -f /start ;;
'start --no-block kubeseed-etcd') : >/start ;;
*) echo "$*" >>/systemctl.calls ;;
esac
"""


@contextmanager
def managed(nodes: list[Node], cluster: Cluster) -> Iterator[None]:
    """Starts a member when its node says so, as systemd would."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            for node in nodes:
                if (node.root / "start").exists():
                    (node.root / "start").unlink()
                    node.member.stop()
                    node.member.start(cluster.initial)

    for node in nodes:
        node.shim("systemctl", SYSTEMCTL)
        if node.member.process:
            (node.root / "etcd.pid").write_text(str(node.member.process.pid))
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def hand_out(copy: Path, nodes: list[Node]) -> None:
    """Puts the copy into the folder of every node, as `scp -r` would."""
    for node in nodes:
        if not (node.copies / copy.name).exists():
            shutil.copytree(copy, node.copies / copy.name)


def restore_all(nodes: list[Node], cluster: Cluster, *arguments: str) -> list[Outcome]:
    with managed(nodes, cluster), ThreadPoolExecutor(len(nodes)) as pool:
        return list(pool.map(lambda node: node.run("restore", *arguments), nodes))


def test_ten_thousand_keys_come_back_and_later_ones_do_not(folder: Path, programs: Path) -> None:
    with running(folder, free_network(), programs) as cluster:
        nodes = [Node(folder / f"node-{member.name}", member) for member in cluster.members]
        taker = next(node for node in nodes if node.member is cluster.turn)
        cluster.put_many(0, KEYS)
        taker.backup("now")
        copy = taker.copies / taker.ids()[0]
        cluster.put_many(KEYS, KEYS + 500)
        cluster.members[0].etcdctl("del", "key-00042")
        old = cluster.members[0].fields()
        hand_out(copy, nodes)

        refused = nodes[0].run("restore", copy.name)
        assert refused.code == 1
        assert "refused: etcd is alive, at revision" in refused.output
        assert "Nothing was changed." in refused.output

        outcomes = restore_all(nodes, cluster, "--force", copy.name)
        assert [outcome.code for outcome in outcomes] == [0, 0, 0], [outcome.output for outcome in outcomes]
        for member in cluster.members:
            keys = member.etcdctl("get", "key-", "--prefix", "--keys-only").split()
            assert keys == [f"key-{number:05}" for number in range(KEYS)]
            assert member.fields()["ClusterID"] != old["ClusterID"], "a member with the old data must not fit in"
            assert [path.name for path in member.data.glob("member.before-*")], "the old data are kept"
            assert not (member.data / "restore.tmp").exists()
        assert {member.fields()["MemberID"] for member in cluster.members} != {old["MemberID"]}
        assert [member.fields()["Leader"] for member in cluster.members].count(cluster.leader.fields()["MemberID"]) == 3

        again = restore_all(nodes, cluster, copy.name)
        assert [outcome.code for outcome in again] == [0, 0, 0]
        taker.set_clock(4_000_000_000)
        assert "copy" in taker.backup("now"), "the restored cluster is backed up as any other"
