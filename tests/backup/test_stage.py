"""Stage backup: what asks for copies is installed, and what is no longer wanted goes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backup.conftest import free_network
from tests.backup.etcd import Member, running
from tests.backup.node import Node

pytestmark = pytest.mark.judge

STAGE = "../stage/backup"
CRON = "etc/cron.d/kubeseed-backup"
# A service manager that remembers what is enabled.
SYSTEMCTL = """
case "$*" in
*'enable kubeseed-backup.timer') : >/enabled ;;
'disable --now kubeseed-backup.timer') rm -f /enabled ;;
*is-active*) [ -e /enabled ] ;;
*is-enabled*) [ -e /enabled ] ;;
esac
"""


@pytest.fixture(scope="module")
def member(module_folder: Path, programs: Path) -> Iterator[Member]:
    with running(module_folder, free_network(), programs, size=1) as cluster:
        yield cluster.members[0]


@pytest.fixture
def node(member: Member, folder: Path) -> Node:
    node = Node(folder / "node", member)
    node.shim("systemctl", SYSTEMCTL)
    return node


def undone(node: Node) -> bool:
    """Whether the stage says that there is work, in a status that the runner takes for it."""
    return node.run(STAGE, "check").code not in (0, 10, 20)


def test_a_node_without_etcd_is_skipped(node: Node) -> None:
    node.configure(BACKUP_SCHEDULER="")
    assert node.run(STAGE, "check").code == 10


def test_the_timer_is_enabled_and_the_commands_are_found(node: Node) -> None:
    assert undone(node)
    assert node.run(STAGE, "apply").code == 0
    assert node.run(STAGE, "verify").code == 0
    assert (node.root / "enabled").exists()
    assert (node.root / ".local/sbin/kubeseed-restore").readlink() == Path("/usr/local/lib/kubeseed/backup/restore")


def test_cron_replaces_the_timer_and_the_timer_cron(node: Node) -> None:
    node.run(STAGE, "apply")
    node.configure(BACKUP_SCHEDULER="cron")
    assert undone(node)
    assert node.run(STAGE, "apply").code == 0
    assert node.run(STAGE, "check").code == 0
    line = (node.root / CRON).read_text()
    assert re.fullmatch(
        r"\d{1,2}-59/15 \* \* \* \* root /usr/local/lib/kubeseed/backup/backup due 2>&1 \| logger -t kubeseed-backup\n",
        line,
    )
    assert not (node.root / "enabled").exists()
    node.configure(BACKUP_SCHEDULER="timer")
    assert undone(node)
    assert node.run(STAGE, "apply").code == 0
    assert not (node.root / CRON).exists()


def test_the_recipient_comes_and_goes_with_the_spec(node: Node) -> None:
    given, installed = node.root / "etc/kubeseed/files/backup.crt", node.root / "etc/kubeseed/backup.crt"
    given.parent.mkdir()
    given.write_text("certificate")
    assert node.run(STAGE, "apply").code == 0
    assert installed.read_text() == "certificate"
    given.unlink()
    assert undone(node)
    assert node.run(STAGE, "apply").code == 0
    assert not installed.exists()
