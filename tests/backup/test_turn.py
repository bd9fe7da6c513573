"""When a copy is due, and whose task it is."""

import datetime
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.backup.etcd import Cluster
from tests.backup.node import Node

pytestmark = pytest.mark.judge

HOUR = 3600
DAY = 24 * HOUR
MORNING = int(datetime.datetime(2030, 5, 10, 4, 0, tzinfo=datetime.UTC).timestamp())


def at(nodes: dict[str, Node], seconds: int) -> list[str]:
    """What the timer does at that moment on every node whose member lives; the names of those that took a copy."""
    before = {name: node.ids() for name, node in nodes.items()}
    alive = [node for node in nodes.values() if node.member.process]
    for node in alive:
        node.set_clock(seconds)
    with ThreadPoolExecutor(len(alive)) as pool:
        list(pool.map(lambda node: node.run("backup", "due"), alive))
    return [name for name, node in nodes.items() if node.ids() != before[name]]


def test_the_next_copy_is_taken_at_its_hour_and_not_before(cluster: Cluster, nodes: dict[str, Node]) -> None:
    turn = [cluster.turn.name]
    assert at(nodes, MORNING) == turn
    assert at(nodes, MORNING + 22 * HOUR) == []  # 02:00
    assert at(nodes, MORNING + 23 * HOUR + 60) == turn  # 03:01
    assert at(nodes, MORNING + DAY) == []


def test_every_six_hours_from_the_hour_on(cluster: Cluster, nodes: dict[str, Node]) -> None:
    for node in nodes.values():
        node.configure(BACKUP_INTERVAL_HOURS="6")
    turn = [cluster.turn.name]
    assert at(nodes, MORNING) == turn
    assert at(nodes, MORNING + 4 * HOUR + 3599) == []  # 08:59:59
    assert at(nodes, MORNING + 5 * HOUR) == turn  # 09:00
    assert turn[0] in at(nodes, MORNING + 22 * HOUR)  # 02:00: after three missed hours one copy is enough
    assert at(nodes, MORNING + 22 * HOUR + 60) == []


def test_another_member_takes_over_when_the_first_takes_none(cluster: Cluster, nodes: dict[str, Node]) -> None:
    turn = cluster.turn.name
    assert at(nodes, MORNING) == [turn]
    nodes[turn].shim("tar", "exit 1")
    assert at(nodes, MORNING + 36 * HOUR) == []
    assert nodes[turn].status()["STATE"] == "failed"
    took_over = at(nodes, MORNING + 36 * HOUR + 1)
    assert len(took_over) == 1
    assert turn not in took_over


def test_nobody_takes_over_on_the_first_day(cluster: Cluster, nodes: dict[str, Node]) -> None:
    turn = cluster.turn.name
    nodes[turn].shim("tar", "exit 1")
    assert at(nodes, MORNING) == []
    assert at(nodes, MORNING + 36 * HOUR) == []
    assert len(at(nodes, MORNING + 36 * HOUR + 1)) == 1


def test_when_the_leader_is_killed_the_others_agree_anew(cluster: Cluster, nodes: dict[str, Node]) -> None:
    assert at(nodes, MORNING) == [cluster.turn.name]
    cluster.leader.stop()
    turn = cluster.turn.name
    assert at(nodes, MORNING + DAY) == [turn]
    assert at(nodes, MORNING + DAY + HOUR) == []


def test_a_node_whose_own_etcd_is_down_says_so(cluster: Cluster, nodes: dict[str, Node]) -> None:
    turn = cluster.turn
    turn.stop()
    outcome = nodes[turn.name].run("backup", "due")
    assert outcome.code == 1
    assert "etcd on this node does not answer" in outcome.output
    assert nodes[turn.name].status()["STATE"] == "failed"


def test_without_quorum_the_last_member_still_takes_a_copy(cluster: Cluster, nodes: dict[str, Node]) -> None:
    assert at(nodes, MORNING) == [cluster.turn.name]
    survivor = cluster.leader
    for member in cluster.members:
        if member is not survivor:
            member.stop()
    node = nodes[survivor.name]
    node.set_clock(MORNING + 37 * HOUR)
    assert "copy" in node.backup("due")
    assert node.status()["STATE"] == "ok"


def test_two_at_once_on_one_node_are_one(cluster: Cluster, nodes: dict[str, Node]) -> None:
    node = nodes[cluster.turn.name]
    node.shim("tar", '/usr/local/lib/kubeseed/backup/backup now >&2; exec /usr/bin/tar "$@"')
    assert "a backup is running on this node already" in node.backup("now")
    assert len(node.ids()) == 1
