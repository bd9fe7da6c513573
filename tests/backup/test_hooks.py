"""The hooks of docs/backup.md, each with the program that it names: they store a copy and give it back."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backup.conftest import free_network
from tests.backup.etcd import Member, running
from tests.backup.node import ROOT, Node

pytestmark = pytest.mark.judge

HOOKS = {
    found[1]: found[0]
    for found in re.findall(
        r"```sh\n(#!/bin/sh\n# (off-site-\w+): .*?)```", (ROOT / "docs/backup.md").read_text(), re.DOTALL
    )
}
# ssh as rsync calls it, to a machine that is this one: what comes after the host's name is run there.
SSH = """
while [ "$1" != store.example ]; do shift; done
shift
cd /far && exec "$@"
"""


@pytest.fixture(scope="module")
def member(module_folder: Path, programs: Path) -> Iterator[Member]:
    with running(module_folder / "etcd", free_network(), programs, size=1) as cluster:
        cluster.put_many(0, 100)
        yield cluster.members[0]


@pytest.fixture
def node(member: Member, folder: Path) -> Node:
    """A node with a far store below /far, as each of the programs is told of it."""
    member.etcdctl("del", "kubeseed/backup")
    node = Node(folder / "node", member)
    (node.root / "far/prod-etcd").mkdir(parents=True)
    write(node, "root/.config/rclone/rclone.conf", "[backups]\ntype = alias\nremote = /far\n")
    node.shim("ssh", SSH)
    write(node, "etc/restic/repository", "/far/restic\n")
    write(node, "etc/restic/password", "correct horse\n")
    files = [f"--repo={node.root / 'far/restic'}", f"--password-file={node.root / 'etc/restic/password'}"]
    subprocess.run(["restic", "-q", "--no-cache", *files, "init"], check=True, capture_output=True, timeout=60)
    return node


def write(node: Node, path: str, text: str) -> None:
    (node.root / path).parent.mkdir(parents=True, exist_ok=True)
    (node.root / path).write_text(text)


def install(node: Node, name: str) -> None:
    program = node.root / ".local/sbin" / name
    program.write_text(HOOKS[name])
    program.chmod(0o755)
    node.configure(BACKUP_HOOK=f"/usr/local/sbin/{name}")


def recorded(node: Node) -> str:
    return node.member.etcdctl("get", "kubeseed/backup", "--print-value-only")


def test_the_page_shows_one_for_each_kind_of_store() -> None:
    assert set(HOOKS) == {"off-site-s3", "off-site-rsync", "off-site-restic"}


@pytest.mark.parametrize("name", HOOKS)
def test_shellcheck_has_nothing_to_say(name: str, folder: Path) -> None:
    (folder / name).write_text(HOOKS[name])
    subprocess.run(["shellcheck", "-s", "sh", folder / name], check=True)


@pytest.mark.parametrize("name", HOOKS)
def test_it_stores_a_copy_and_gives_it_back(node: Node, name: str) -> None:
    install(node, name)
    said = node.backup("now")
    copy = node.ids()[0]
    assert f"copy {copy} is stored elsewhere, too" in said
    assert copy in recorded(node)
    assert any((node.root / "far").rglob("*")), "something is there"


@pytest.mark.parametrize("name", HOOKS)
def test_a_store_that_is_away_is_told_and_the_copy_does_not_count(node: Node, name: str) -> None:
    install(node, name)
    (node.root / "far").rename(node.root / "gone")
    (node.root / "far").write_text("no folder")
    outcome = node.run("backup", "now")
    assert outcome.code == 1
    assert f"copy {node.ids()[0]} is on this node only: /usr/local/sbin/{name} store failed" in outcome.output
    assert recorded(node) == ""
