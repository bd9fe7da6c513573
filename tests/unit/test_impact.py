"""What a change of files means for a machine."""

import pytest

from generator.impact import Effect, Impact, judge_changes
from generator.output import Changes

FILESETS = {"m1": ("release-debian-12", "master", "node-m1"), "w1": ("release-debian-12", "node-w1")}


def changes(*changed: str, added: tuple[str, ...] = (), removed: tuple[str, ...] = ()) -> Changes:
    return Changes(frozenset(added), frozenset(changed), frozenset(removed))


def effects(found: Changes) -> dict[str, str]:
    return {impact.node: impact.effect.value for impact in judge_changes(FILESETS, found)}


@pytest.mark.parametrize(
    ("path", "master", "worker"),
    [
        ("nodes/m1/user-data", "reinstall", "nothing"),
        ("coordinator/files/release-debian-12/sysctl.conf", "reboot", "reboot"),
        ("coordinator/files/release-debian-12/crictl.yaml", "live", "live"),
        ("coordinator/files/master/audit-policy.yaml", "live", "nothing"),
        ("coordinator/files/node-w1/kubeadm-join.yaml", "nothing", "live"),
        ("coordinator/inventory.json", "nothing", "nothing"),
        ("pxe/seed/m1/user-data", "nothing", "nothing"),
    ],
)
def test_the_path_decides(path: str, master: str, worker: str) -> None:
    assert effects(changes(path)) == {"m1": master, "w1": worker}


def test_a_new_node_is_new_whatever_else_changes() -> None:
    found = changes("coordinator/files/release-debian-12/hosts", added=("nodes/w1/meta-data", "nodes/w1/user-data"))
    assert effects(found) == {"m1": "live", "w1": "new"}


def test_a_node_that_is_gone_is_told() -> None:
    assert effects(changes(removed=("nodes/w9/user-data",))) == {"m1": "nothing", "w1": "nothing", "w9": "removed"}


def test_a_file_that_was_removed_counts() -> None:
    assert effects(changes(removed=("coordinator/files/node-w1/passwords",)))["w1"] == "live"


def test_the_files_are_named() -> None:
    found = judge_changes(FILESETS, changes("nodes/w1/user-data", "coordinator/files/release-debian-12/keys/a.asc"))
    assert found[1] == Impact("w1", Effect.REINSTALL, ("user-data", "keys/a.asc"))
