"""An encrypted copy shows nothing without the private key, which the node never has."""

import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.backup.etcd import Cluster
from tests.backup.node import Node

pytestmark = pytest.mark.judge

SECRET = "correct-horse-battery-staple"


@pytest.fixture(params=["rsa:2048", "ec"])
def recipient(request: pytest.FixtureRequest, folder: Path) -> Path:
    """A folder with the operator's backup.key and backup.crt, as docs/backup.md makes them."""
    kind = ["rsa:2048"] if request.param == "rsa:2048" else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    pair = ["-keyout", str(folder / "backup.key"), "-out", str(folder / "backup.crt")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-days", "3650", "-subj", "/CN=backup", *pair],
        check=True,
        capture_output=True,
    )
    return folder


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def open_sealed(copy: Path, recipient: Path, name: str) -> bytes:
    """What docs/backup.md tells a person to type."""
    key = recipient / "opened.key"
    cms = ["openssl", "cms", "-decrypt", "-inform", "DER", "-in", str(copy / "key.cms"), "-out", str(key)]
    subprocess.run([*cms, "-inkey", str(recipient / "backup.key")], check=True, capture_output=True)
    enc = ["openssl", "enc", "-d", "-aes-256-cbc", "-md", "sha256", "-pass", f"file:{key}", "-in", str(copy / name)]
    return subprocess.run(enc, check=True, capture_output=True).stdout


def test_an_encrypted_copy_shows_no_secret(cluster: Cluster, nodes: dict[str, Node], recipient: Path) -> None:
    node = nodes[cluster.turn.name]
    (node.root / "etc/kubernetes/encryption.yaml").write_text(f"secret: {SECRET}\n")
    cluster.members[0].etcdctl("put", "/registry/secrets/default/s", SECRET)
    ca_key = (node.root / "etc/kubernetes/pki/etcd/ca.key").read_bytes().splitlines()[1]

    node.backup("now")
    assert SECRET.encode() in everything_in(node.copies), "the search would find it"
    for name in node.ids():
        subprocess.run(["rm", "-r", str(node.copies / name)], check=True)

    (node.root / "etc/kubeseed/backup.crt").write_bytes((recipient / "backup.crt").read_bytes())
    node.set_clock(4_000_000_000)
    node.backup("now")
    copy = node.copies / node.ids()[0]
    assert sorted(path.name for path in copy.iterdir()) == [
        "config.tar.gz.enc", "key.cms", "manifest.json", "snapshot.db.enc",
    ]  # fmt: skip
    assert SECRET.encode() not in everything_in(node.copies)
    assert ca_key not in everything_in(node.copies)
    assert node.backup("verify") == f"{copy.name} is whole\n"

    manifest = json.loads((copy / "manifest.json").read_text())
    snapshot = open_sealed(copy, recipient, "snapshot.db.enc")
    assert len(snapshot) == manifest["snapshotBytes"]
    assert SECRET.encode() in snapshot
    (recipient / "config.tar.gz").write_bytes(open_sealed(copy, recipient, "config.tar.gz.enc"))
    with tarfile.open(recipient / "config.tar.gz") as archive:
        assert "etc/kubernetes/encryption.yaml" in archive.getnames()


def test_a_certificate_that_is_none_is_a_failure_and_leaves_nothing(cluster: Cluster, nodes: dict[str, Node]) -> None:
    node = nodes[cluster.turn.name]
    (node.root / "etc/kubeseed/backup.crt").write_text("no certificate\n")
    outcome = node.run("backup", "now")
    assert "backup failed: openssl cannot encrypt to /etc/kubeseed/backup.crt" in outcome.output
    assert [path.name for path in node.copies.iterdir()] == [".lock"]
