"""What is no sound snapshot never becomes a copy, and what it was is said."""

from pathlib import Path

import pytest

from tests.backup.conftest import free_network
from tests.backup.etcd import Cluster, running
from tests.backup.node import Node

pytestmark = pytest.mark.judge

SAVE = """
/etcd/etcdctl "$@" || exit
for file in "$@"; do :; done
case "$*" in *'snapshot save'*) %s ;; esac
"""
FLIP = 'printf X | /usr/bin/dd of="$file" bs=1 seek=20000 conv=notrunc 2>/dev/null'


def spoil(node: Node, how: str) -> None:
    """From now on etcdctl's snapshots are spoilt by a line of shell that finds the file in $file."""
    program = node.library / "bin" / "etcdctl"
    program.unlink()
    program.write_text("#!/bin/sh\n" + SAVE % how)
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (FLIP, "the snapshot is damaged: its bytes do not match the hash at its end"),
        (': >"$file"', "the snapshot is empty: 0 bytes"),
        ('/usr/bin/truncate -s 20001 "$file"', "the snapshot is truncated: 20001 bytes and no hash at the end"),
        ('/usr/bin/truncate -s 20512 "$file"', "the snapshot is damaged"),
        (
            'rm "$file"; echo "Error: rpc error: code = Unavailable" >&2; exit 1',
            "etcdctl cannot save a snapshot: Error: rpc",
        ),
        ("exit 1", "etcdctl cannot save a snapshot"),
    ],
    ids=["one byte", "empty", "truncated", "truncated to a plausible length", "etcd went away", "no word"],
)
def test_a_spoilt_snapshot_is_refused(cluster: Cluster, nodes: dict[str, Node], how: str, why: str) -> None:
    node = nodes[cluster.turn.name]
    node.backup("now")
    kept = node.ids()
    spoil(node, how)
    node.set_clock(4_000_000_000)
    outcome = node.run("backup", "now")
    assert outcome.code == 1
    assert f"backup failed: {why}" in outcome.output
    assert node.ids() == kept
    assert sorted(path.name for path in node.copies.iterdir()) == [".lock", *kept]
    assert node.status()["STATE"] == "failed"
    assert node.status()["MESSAGE"].startswith(why)


def test_an_etcd_without_keys_is_refused(folder: Path, programs: Path) -> None:
    with running(folder / "etcd", free_network(), programs, size=1) as cluster:
        node = Node(folder / "node", cluster.members[0])
        outcome = node.run("backup", "due")
    assert "backup failed: the snapshot holds no keys" in outcome.output
    assert node.ids() == []


def test_a_member_that_was_set_back_is_refused(cluster: Cluster, nodes: dict[str, Node]) -> None:
    turn = cluster.turn
    cluster_id = turn.fields()["ClusterID"]
    turn.etcdctl("put", "kubeseed/backup", f"1000 20300101T000000Z-m1 {cluster_id} 999999")
    outcome = nodes[turn.name].run("backup", "now")
    assert "but copy 20300101T000000Z-m1 was at 999999: the member lags behind or was set back" in outcome.output
    assert nodes[turn.name].ids() == []


def test_a_restored_cluster_may_count_anew(cluster: Cluster, nodes: dict[str, Node]) -> None:
    turn = cluster.turn
    turn.etcdctl("put", "kubeseed/backup", "1000 20300101T000000Z-m1 12345 999999")
    nodes[turn.name].backup("now")
    assert len(nodes[turn.name].ids()) == 1


@pytest.mark.parametrize("record", ["", "yesterday", "1 2", "9e9 x y z", "$(reboot) a b 1"])
def test_an_unreadable_record_is_no_record(cluster: Cluster, nodes: dict[str, Node], record: str) -> None:
    turn = cluster.turn
    turn.etcdctl("put", "kubeseed/backup", record)
    nodes[turn.name].backup("due")
    assert len(nodes[turn.name].ids()) == 1


FILL = "/usr/bin/head -c 20000000 /dev/zero 2>/dev/null >/var/backups/etcd/.filler;"
SCENARIO = """#!/bin/sh
backup=/usr/local/lib/kubeseed/backup/backup
$backup now || exit 9
date -d @4000000000 >/clock
$backup now
echo "ended with $?"
rm -f /var/backups/etcd/.filler
ls -A /var/backups/etcd
$backup verify
"""


def on_a_small_disk(node: Node, size: str) -> str:
    """Takes a copy, lets what fills the disk happen, takes another one; what was said, and what is left."""
    (node.root / ".small").write_text(size)
    node.shim("date", '[ ! -f /clock ] || set -- -d @4000000000 "$@"; exec /usr/bin/date "$@"')
    node.program("scenario", SCENARIO)
    return node.run("scenario").output


@pytest.mark.parametrize(
    ("program", "when", "why"),
    [
        ("etcdctl", "*'snapshot save'*", "etcdctl cannot save a snapshot"),
        ("tar", "*", "tar cannot archive the configuration"),
        ("sed", "*", "no room in /var/backups/etcd"),
    ],
    ids=["during the snapshot", "during the archive", "before"],
)
def test_a_full_disk_is_reported_and_old_copies_are_kept(
    cluster: Cluster, nodes: dict[str, Node], program: str, when: str, why: str
) -> None:
    node = nodes[cluster.turn.name]
    real = "/etcd/etcdctl" if program == "etcdctl" else f"/usr/bin/{program}"
    if program == "etcdctl":
        (node.library / "bin" / program).unlink()
    node.shim(program, f'if [ -f /clock ]; then case "$*" in {when}) {FILL} esac; fi; exec {real} "$@"')
    said = on_a_small_disk(node, "9m")
    first, second = said.split("ended with 1\n")
    assert f"backup failed: {why}" in first
    assert "lder copies are kept" in first
    left, verdict = second.split()[:-3], second.split()[-3:]
    assert left[0] == ".lock"
    assert len(left) == 2
    assert verdict == [left[1], "is", "whole"]


def test_a_disk_that_is_too_small_is_known_before(cluster: Cluster, nodes: dict[str, Node]) -> None:
    node = nodes[cluster.turn.name]
    (node.root / ".small").write_text("4m")
    outcome = node.run("backup", "now")
    assert outcome.code == 1
    assert "no room in /var/backups/etcd: 4 MiB are free, 8 MiB are needed." in outcome.output
    assert "lower etcd.backup.keepDays" in node.status()["MESSAGE"]
