"""Scenario D: the power goes once in every stage, of the first master and of one that joins; the cluster completes."""

import json
import re
import time

import pytest

from tests.cluster.place import Cluster
from tests.cluster.proof import note
from tests.cluster.spec import Shape
from tests.lab.command import LabError

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(5400)]

SHAPE = Shape("d", masters=2)
PATIENCE = 900


@pytest.fixture(scope="module")
def cut_everywhere(made: Cluster) -> dict[str, list[str]]:
    """node -> stages in which it lost its power while they were at work."""
    hits = {}
    for name in made.shape.names:
        made.power_on([name])
        hits[name] = [stage for stage in made.site.status()["stages"] if cut_in(made, name, stage)]
        made.until_done([name], PATIENCE)
    made.until_ready(made.shape.names)
    return hits


def cut_in(cluster: Cluster, name: str, stage: str) -> bool:
    """Waits until the stage begins, takes the power away, gives it back. Whether the stage was still at work."""
    deadline = time.monotonic() + PATIENCE
    while not (begun := begins(cluster.site.console(name), stage)):
        if time.monotonic() > deadline:
            raise LabError(f"stage {stage} of {name} has not begun after {PATIENCE} s")
        time.sleep(0.02)
    at_work = begun[-1].endswith("...") or " failed" in begun[-1]
    cluster.site.cut_power(name)
    cluster.power_on([name])
    return at_work


def begins(console: str, stage: str) -> list[str]:
    """The console's lines about a stage: `[ 5/16] base ...`, and ` done 2 s` behind it once it is."""
    return [line.rstrip() for line in re.findall(rf"\[ *\d+/\d+\] {stage} \.\.\.[^\r\n]*", console)]


def test_the_cluster_completes(made: Cluster, cut_everywhere: dict[str, list[str]]) -> None:
    assert set(made.ready_nodes()) == {"m1", "m2"}
    for name, stages in cut_everywhere.items():
        assert {"pki", "init" if name == "m1" else "join"} <= set(stages)
    count = sum(len(stages) for stages in cut_everywhere.values())
    note("D", f"power cut once in every stage of m1 and m2, {count} of them at work: both Ready")


def test_there_is_one_etcd_cluster_and_no_member_twice(made: Cluster, cut_everywhere: dict[str, list[str]]) -> None:
    assert cut_everywhere
    members = made.etcd("m1", "member", "list")
    assert sorted(member["name"] for member in members["members"]) == ["m1", "m2"]
    assert members["header"]["cluster_id"] == made.etcd("m2", "member", "list")["header"]["cluster_id"]


def test_nothing_alarmed_the_coordinator(made: Cluster, cut_everywhere: dict[str, list[str]]) -> None:
    assert cut_everywhere
    assert "alarm" not in made.site.command("events", made.site.out)
    nodes = json.loads(made.kubectl("m1", "get", "nodes", "-o", "json"))["items"]
    assert len(nodes) == 2
