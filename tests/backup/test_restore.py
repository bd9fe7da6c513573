"""The way back: what was there before a copy is there again, what came after is not, and only copies are restored."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.backup.conftest import free_network
from tests.backup.etcd import Authority, Cluster, running
from tests.backup.managed import managed
from tests.backup.node import Node, Outcome, kill_at, live_on

pytestmark = pytest.mark.judge

KEYS = 10_000


def hand_out(copy: Path, nodes: list[Node]) -> None:
    """Puts the copy into the folder of every node, as `scp -r` would."""
    for node in nodes:
        if not (node.copies / copy.name).exists():
            shutil.copytree(copy, node.copies / copy.name)


def restore_all(nodes: list[Node], cluster: Cluster, *arguments: str) -> list[Outcome]:
    with managed(nodes, cluster), ThreadPoolExecutor(len(nodes)) as pool:
        return list(pool.map(lambda node: node.run("restore", *arguments), nodes))


def test_ten_thousand_keys_come_back_and_later_ones_do_not(folder: Path, either: Path) -> None:
    with running(folder, free_network(), either) as cluster:
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
        leap = 10**9 if (either / "etcdutl").exists() else 0
        assert leap < int(cluster.members[0].fields()["Revision"]) < leap + int(old["Revision"])

        again = restore_all(nodes, cluster, copy.name)
        assert [outcome.code for outcome in again] == [0, 0, 0]
        taker.set_clock(4_000_000_000)
        assert "copy" in taker.backup("now"), "the restored cluster is backed up as any other"


@pytest.fixture(scope="module")
def copy(module_folder: Path, programs: Path) -> Iterator[tuple[Cluster, Path]]:
    """A living cluster of one, and a copy of it."""
    with running(module_folder / "etcd", free_network(), programs, size=1) as cluster:
        cluster.put_many(0, 300)
        node = Node(module_folder / "node", cluster.members[0])
        node.backup("now")
        yield cluster, node.copies / node.ids()[0]


@pytest.fixture
def node(copy: tuple[Cluster, Path], folder: Path) -> Node:
    """A node with that copy, whose member is not to be touched."""
    cluster, taken = copy
    node = Node(folder / "node", cluster.members[0])
    shutil.copytree(taken, node.copies / taken.name)
    return node


def edit(copy: Path, old: str, new: str) -> None:
    manifest = copy / "manifest.json"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new))


def damage(copy: Path) -> None:
    content = bytearray((copy / "snapshot.db").read_bytes())
    content[20000] ^= 1
    (copy / "snapshot.db").write_bytes(content)


def forge(copy: Path, content: bytes) -> None:
    """Another snapshot, and a manifest whose digests agree with it."""
    old, snapshot = (copy / "snapshot.db").read_bytes(), copy / "snapshot.db"
    snapshot.write_bytes(content)
    edit(copy, hashlib.sha256(old).hexdigest(), hashlib.sha256(content).hexdigest())
    edit(copy, f'"bytes": {len(old)}', f'"bytes": {len(content)}')


def snapshot(copy: Path) -> bytes:
    return (copy / "snapshot.db").read_bytes()


REFUSALS: dict[str, tuple[Callable[[Path], object], str]] = {
    "damaged": (damage, "/snapshot.db is damaged: its SHA-256 is not the one of its manifest"),
    "truncated": (lambda copy: os.truncate(copy / "snapshot.db", 9000), "/snapshot.db has 9000 bytes, its manifest"),
    "missing": (lambda copy: (copy / "snapshot.db").unlink(), "/snapshot.db is missing"),
    "without manifest": (lambda copy: (copy / "manifest.json").unlink(), "has no manifest.json"),
    "half a manifest": (lambda copy: os.truncate(copy / "manifest.json", 200), "lists no snapshot"),
    "of another copy": (lambda copy: edit(copy, f'"id": "{copy.name}"', '"id": "x"'), "or of another copy"),
    "of another cluster": (lambda copy: edit(copy, '"cluster": "prod"', '"cluster": "stage"'), "of cluster stage"),
    "forged and damaged": (lambda copy: forge(copy, snapshot(copy)[:-1] + b"x"), "its bytes do not match the hash"),
    "forged and truncated": (lambda copy: forge(copy, snapshot(copy)[:9000]), "truncated: 9000 bytes and no hash"),
    "forged and empty": (lambda copy: forge(copy, b""), "the snapshot is empty"),
    "of another member": (lambda copy: edit(copy, "=https://127.", "=https://126."), "no member with the address 127."),
    "another revision": (lambda copy: edit(copy, '"revision": 4,', '"revision": 5,'), "its manifest says 5"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_no_sound_copy_of_this_cluster_is_refused(node: Node, case: str) -> None:
    spoil, why = REFUSALS[case]
    taken = node.copies / node.ids()[0]
    spoil(taken)
    before = state(node)
    for arguments in (["--check"], ["--force"]):
        outcome = node.run("restore", *arguments, taken.name)
        assert outcome.code == 1
        assert "refused: " in outcome.output
        assert why in outcome.output
    assert state(node) == before, "the member runs on as it was"
    assert sorted(path.name for path in node.member.data.iterdir()) == ["member"]


def state(node: Node) -> dict[str, str]:
    """What its etcd says of itself, but for the size of its file: that grows by itself."""
    return {name: value for name, value in node.member.fields().items() if not name.startswith("DBSize")}


def test_a_copy_of_a_cluster_of_the_same_name_is_refused_by_its_ca(node: Node) -> None:
    Authority("etcd-ca").write(node.root / "etc/kubernetes/pki/etcd")
    outcome = node.run("restore", "--check", node.ids()[0])
    assert outcome.code == 1
    assert "is a copy of another cluster: its etcd CA is not /etc/kubernetes/pki/etcd/ca.crt" in outcome.output


def test_check_restores_into_a_scratch_folder_and_changes_nothing(node: Node) -> None:
    before = node.member.fields()
    outcome = node.run("restore", "--check", node.ids()[0])
    assert outcome.code == 0, outcome.output
    assert "is sound: revision 4, " in outcome.output
    assert node.member.fields() == before
    assert sorted(path.name for path in node.copies.iterdir()) == node.ids()


def test_an_encrypted_copy_opens_with_its_own_key_only(node: Node, folder: Path) -> None:
    for name in ("backup", "other"):
        pair = ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt")]
        request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", *pair]
        subprocess.run(request, check=True, capture_output=True)
        shutil.copy(folder / f"{name}.key", node.root / "root")
    shutil.copy(folder / "backup.crt", node.root / "etc/kubeseed")
    node.set_clock(4_000_000_000)
    node.backup("now")
    encrypted = node.ids()[-1]
    for arguments, code, said in (
        ([], 1, "is encrypted: give the private key of the certificate with SHA-256 "),
        (["--key", "/root/other.key"], 1, "/root/other.key does not open "),
        (["--key", "/root/missing.key"], 1, "/root/missing.key does not open "),
        (["--key", "/root/backup.key"], 0, "is sound: revision "),
    ):
        outcome = node.run("restore", "--check", *arguments, encrypted)
        assert outcome.code == code, outcome.output
        assert said in outcome.output
    assert b"PRIVATE KEY" not in b"".join(path.read_bytes() for path in node.copies.rglob("*") if path.is_file())


def test_killed_at_any_point_the_same_command_goes_on(folder: Path, programs: Path) -> None:
    with running(folder / "etcd", free_network(), programs, size=1) as cluster:
        cluster.put_many(0, 300)
        node = Node(folder / "node", cluster.members[0])
        node.backup("now")
        taken = node.ids()[0]
        for attempt, point in enumerate((8, 22, 26, 30, 34), start=1):
            arguments = ["--force", "--attempt", str(attempt), taken]
            cluster.members[0].etcdctl("put", "later", str(attempt))
            with managed([node], cluster):
                kill_at(node, point)
                node.run("restore", *arguments)
                live_on(node)
                outcome = node.run("restore", *arguments)
            assert outcome.code == 0, outcome.output
            assert cluster.members[0].etcdctl("get", "later") == ""
            assert cluster.members[0].etcdctl("get", "key-00299", "--print-value-only") == "value-00299\n"


# An engine that runs one container of the control plane, whatever the kubelet does.
CTR = """
case "$*" in
*'containers ls -q '*'"io.kubernetes.pod.name"==kube-apiserver-m1,'*) echo cafe ;;
*'tasks kill --signal TERM cafe') kill "$(cat /apiserver.pid)" ;;
esac
"""


def test_a_control_plane_is_stopped_although_its_kubelet_would_not(folder: Path, programs: Path) -> None:
    """A kubelet stops no static pod before it has reached an API server once: without a quorum never."""
    with running(folder / "etcd", free_network(), programs, size=1) as cluster:
        cluster.put_many(0, 300)
        node = Node(folder / "node", cluster.members[0])
        node.backup("now")
        server = [sys.executable, "-m", "http.server", "--bind", node.member.address, "6443"]
        with managed([node], cluster), subprocess.Popen(server, stderr=subprocess.DEVNULL) as process:
            try:
                (node.root / "apiserver.pid").write_text(str(process.pid))
                node.shim("ctr", CTR)
                outcome = node.run("restore", "--force", node.ids()[0])
                assert outcome.code == 0, outcome.output
                assert process.wait(5) == -15
            finally:
                process.kill()
        calls = (node.root / "systemctl.calls").read_text().splitlines()
        assert calls[0] == "stop kubelet"
