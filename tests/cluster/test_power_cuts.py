"""Scenario D: the power goes once in every stage, of the first master and of one that joins; the cluster completes."""

import json
import os
import signal
import time
from functools import partial

import pytest

from tests.cluster.place import Cluster
from tests.cluster.proof import note
from tests.cluster.spec import Shape
from tests.lab.wait import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(5400)]

SHAPE = Shape("d", masters=3)
PATIENCE = 900
# Seconds from a stage's first program until the power goes; kubeadm's stages are cut in several places.
AT_ONCE = (0.05,)
STAGES = (
    *("preflight", "clock", "enrol", "files", "base", "engine", "packages", "load-balancer"),
    *("etcd", "pki", "init", "join", "verify", "addons", "backup", "scrub"),
)
CUTS = {"base": (0.2,), "engine": (0.4,), "pki": (0.3,), "init": (3.0, 9.0, 15.0), "join": (4.0, 8.0, 14.0)}
PLAN = [(stage, after) for stage in STAGES for after in CUTS.get(stage, AT_ONCE)]


@pytest.fixture(scope="module")
def hits(made: Cluster) -> dict[str, list[str]]:
    """node -> stages in which it lost its power while they were at work."""
    found = {}
    assert tuple(made.site.look()["stages"]) == STAGES
    for name in ("m1", "m2"):
        forget_stages(made)
        made.power_on([name])
        found[name] = [stage for stage, after in PLAN if cut_in(made, name, stage, after)]
        made.until_done([name], PATIENCE)
    made.power_on(["m3"])
    made.until_ready(made.shape.names)
    made.until_done(["m3"], PATIENCE)
    return found


def reached(cluster: Cluster, name: str, stage: str) -> bool:
    """Whether the stage has begun, or one after it: some are over before this computer has looked at them."""
    seen = any(begun(later) in cluster.processes.words for later in STAGES[STAGES.index(stage) :])
    return seen or (cluster.root(name) / "var/lib/kubeseed/done").exists()


def forget_stages(cluster: Cluster) -> None:
    """What other boots and nodes have run does not count."""
    cluster.processes.words -= {begun(stage) for stage in STAGES}


def begun(stage: str) -> bytes:
    """The arguments of a stage's first program."""
    return f"/bin/sh\0/usr/local/lib/kubeseed/stage/{stage}\0check\0".encode()


def cut_in(cluster: Cluster, name: str, stage: str, after: float) -> bool:
    """Waits until the kernel tells of the stage's program, cuts the power, gives it back; whether it was at work."""
    until(f"stage {stage} of {name} begins", partial(reached, cluster, name, stage), PATIENCE, interval=0.01)
    if begun(stage) not in cluster.processes.words:
        return False
    time.sleep(after)
    # A stage can be over before a command has started.
    os.kill(cluster.site.process(name), signal.SIGKILL)
    cluster.site.cut_power(name)
    at_work = not (cluster.root(name) / "var/lib/kubeseed/sentinel" / stage).exists()
    forget_stages(cluster)
    cluster.power_on([name])
    return at_work


def test_the_cluster_completes(made: Cluster, hits: dict[str, list[str]]) -> None:
    assert set(made.ready_nodes()) == {"m1", "m2", "m3"}
    for name, stages in hits.items():
        assert {"pki", "init" if name == "m1" else "join"} <= set(stages)
    count = sum(len(stages) for stages in hits.values())
    note("D", f"power cut once in every stage of m1 and m2, {count} times at work: all Ready")


def test_there_is_one_etcd_cluster_and_no_member_twice(made: Cluster, hits: dict[str, list[str]]) -> None:
    assert hits
    members = made.etcd("m1", "member", "list")
    assert sorted(member["name"] for member in members["members"]) == ["m1", "m2", "m3"]
    assert members["header"]["cluster_id"] == made.etcd("m2", "member", "list")["header"]["cluster_id"]


def test_nothing_alarmed_the_coordinator(made: Cluster, hits: dict[str, list[str]]) -> None:
    assert hits
    assert "alarm" not in made.site.command("events", made.site.out)
    nodes = json.loads(made.kubectl("m1", "get", "nodes", "-o", "json"))["items"]
    assert len(nodes) == 3
