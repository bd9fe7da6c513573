"""Which copies stay, and what a power cut at any moment leaves behind."""

import shutil
from pathlib import Path

import pytest

from tests.backup.conftest import free_network
from tests.backup.etcd import Cluster, Member, running
from tests.backup.node import Node, kill_at, live_on
from tests.backup.paper import on_paper, write_down

pytestmark = pytest.mark.judge

DAY = 86400
START = 1_900_000_000


@pytest.fixture(scope="module")
def paper(module_folder: Path, programs: Path) -> tuple[Member, Path]:
    """What the one member of a cluster said: it takes every copy itself."""
    folder = module_folder / "paper"
    folder.mkdir()
    with running(module_folder / "etcd", free_network(), programs, size=1) as cluster:
        cluster.put_many(0, 300)
        write_down(cluster.members[0], folder)
        return cluster.members[0], folder


@pytest.fixture
def node(paper: tuple[Member, Path], folder: Path) -> Node:
    member, answers = paper
    return on_paper(Node(folder / "node", member), answers)


def days(node: Node, first: int, last: int) -> None:
    for day in range(first, last):
        node.set_clock(START + day * DAY)
        node.backup("due")


def ages(node: Node, today: int) -> list[int]:
    """Days since each copy that counts, by what its manifest says."""
    lines = [(node.copies / name / "manifest.json").read_text() for name in node.ids()]
    seconds = [int(text.split('"seconds": ')[1].split(",")[0]) for text in lines]
    return [(START + today * DAY - taken) // DAY for taken in seconds]


SIXTY_DAYS = """#!/bin/sh
day=0
while [ $day -lt 60 ]; do
  echo $((1900000000 + day * 86400)) >/clock
  /usr/local/lib/kubeseed/backup/backup now >/said || exit 9
  /usr/local/lib/kubeseed/backup/backup list | wc -l
  day=$((day + 1))
done
"""


def test_over_sixty_days_the_last_week_stays(cluster: Cluster, nodes: dict[str, Node]) -> None:
    """Of three real members; whichever leads meanwhile, this one takes the copies."""
    node = nodes[cluster.members[0].name]
    node.shim("date", 'read -r now </clock; exec /usr/bin/date -d "@$now" "$@"')
    node.program("sixty-days", SIXTY_DAYS)
    outcome = node.run("sixty-days", seconds=800)
    assert outcome.output.split() == [str(min(day, 8)) for day in range(1, 61)]
    assert ages(node, 59) == [7, 6, 5, 4, 3, 2, 1, 0]
    assert node.backup("verify").count("is whole") == 8


def test_when_copies_fail_for_weeks_the_old_ones_stay(node: Node) -> None:
    days(node, 0, 4)
    node.shim("tar", "exit 1")
    for day in (10, 40):
        node.set_clock(START + day * DAY)
        assert node.run("backup", "due").code == 1
    assert ages(node, 40) == [40, 39, 38, 37]
    (node.root / ".local/sbin/tar").unlink()
    days(node, 60, 61)
    assert ages(node, 60) == [58, 57, 0]


def test_a_damaged_copy_is_not_one_of_the_three(node: Node) -> None:
    days(node, 0, 4)
    newest = node.copies / node.ids()[-1] / "snapshot.db"
    newest.write_bytes(b"x" + newest.read_bytes()[1:])
    outcome = node.run("backup", "verify")
    assert outcome.code == 1
    assert f"{node.ids()[-1]}/snapshot.db is damaged" in outcome.output
    days(node, 30, 31)
    # the new one, and of the old ones two that are whole; the damaged one lies between them
    assert ages(node, 30) == [29, 28, 27, 0]


def test_a_clock_that_was_wrong_for_a_day_deletes_nothing_that_is_needed(node: Node) -> None:
    days(node, 0, 3)
    days(node, 3000, 3001)
    assert len(node.ids()) == 3
    days(node, 4, 8)
    assert len(node.ids()) >= 3


def test_killed_at_any_point_it_leaves_nothing_that_counts_and_is_not_whole(node: Node) -> None:
    points = 0
    finished = False
    while not finished:
        points += 1
        node.set_clock(START + points * 60)
        kill_at(node, points)
        outcome = node.run("backup", "now")
        finished = outcome.code == 0
        assert finished or outcome.code == -9, outcome.output
        live_on(node)
        assert node.backup("verify").count("is whole") == len(node.ids())
    assert points > 30
    left = [path.name for path in node.copies.iterdir() if path.name != ".lock"]
    assert sorted(left) == node.ids()
    shutil.rmtree(node.copies)
