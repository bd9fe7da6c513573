"""Scenario D: the power goes once in every stage, of the first master and of one that joins; the cluster completes."""

import json
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.place import Cluster
from tests.cluster.proof import note
from tests.cluster.spec import Shape
from tests.lab.wait import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(5400)]

SHAPE = Shape("d", masters=3)
PATIENCE = 900
AT_ONCE = (0.0,)
STAGES = (
    *("preflight", "clock", "enrol", "files", "base", "engine", "packages", "load-balancer"),
    *("etcd", "pki", "init", "join", "verify", "addons", "backup", "scrub"),
)
Cuts = dict[str, tuple[float, ...]]
Plan = list[tuple[str, float]]
# Seconds from a stage's beginning until the power goes; kubeadm is cut in several places.
CUTS: Cuts = {"base": (0.2,), "engine": (0.4,), "pki": (0.3,)}
INIT: Cuts = {"init": (3.0, 9.0, 15.0)}
JOIN: Cuts = {"join": (4.0, 8.0, 14.0)}


@dataclass(slots=True)
class Victim:
    """A node that is cut off again and again. The words of the boot under way begin in its console's log at `start`."""

    cluster: Cluster
    name: str
    start: int = 0

    def boot(self) -> None:
        self.start = len(self._console())
        self.cluster.power_on([self.name])

    def _console(self) -> bytes:
        log = self.cluster.root(self.name).with_name("console.log")
        return log.read_bytes() if log.exists() else b""

    def behind(self) -> int:
        """How many stages this boot has behind it; that word is the last thing a stage does."""
        ends = re.findall(rb"\[ ?(\d+)/\d+\] \S+ \.\.\. (?:done|skipped)", self._console()[self.start :])
        return int(ends[-1]) if ends else 0

    def has_reached(self, stage: str) -> bool:
        process = self.cluster.site.process(self.name)
        runs = Path(f"/proc/{process}/root/run/kubeseed/log").exists()
        return (runs and self.behind() >= STAGES.index(stage)) or self._file("done").exists()

    def _file(self, name: str) -> Path:
        return self.cluster.root(self.name) / "var/lib/kubeseed" / name

    def cut_in(self, stage: str, after: float) -> bool:
        """Waits for the stage and cuts the power, if it is not over by then; whether the stage was at work."""
        if not self.cluster.on(self.name):
            self.boot()
        until(f"stage {stage} of {self.name} begins", partial(self.has_reached, stage), PATIENCE, interval=0.01)
        if self.behind() > STAGES.index(stage) or self._file("done").exists():
            return False
        time.sleep(after)
        self.off()
        return not self._file(f"sentinel/{stage}").exists()

    def off(self) -> None:
        self.cluster.site.cut_power_at_once(self.name)

    def cut_everywhere(self, plan: Plan) -> list[str]:
        """Cuts the power in every stage of the plan and leaves it off; the stages that were at work."""
        hits = [stage for stage, after in plan if self.cut_in(stage, after)]
        if self.cluster.on(self.name):
            self.off()
        return hits

    def finish(self) -> None:
        self.boot()
        self.cluster.until_done([self.name], PATIENCE)


def plan(stages: Sequence[str], cuts: Cuts) -> Plan:
    """Each stage once, or as often as its cuts say."""
    return [(stage, after) for stage in stages for after in cuts.get(stage, AT_ONCE)]


@pytest.fixture(scope="module")
def hits(made: Cluster) -> dict[str, list[str]]:
    """node -> stages in which it lost its power while they were at work."""
    assert tuple(made.site.look()["stages"]) == STAGES
    first, joiner = Victim(made, "m1"), Victim(made, "m2")
    # Up to `pki` nobody waits for anybody; whoever comes to `init` before it is claimed would be the first master.
    early, late = STAGES[: STAGES.index("init")], STAGES[STAGES.index("init") :]
    with ThreadPoolExecutor() as pool:
        before = pool.submit(joiner.cut_everywhere, plan(early, CUTS))
        found = {"m1": first.cut_everywhere(plan(STAGES, CUTS | INIT))}
        first.finish()
        found["m2"] = before.result() + joiner.cut_everywhere(plan(late, JOIN))
    joiner.finish()
    made.power_on(["m3"])
    made.until_ready(made.shape.names)
    made.until_done(["m3"], PATIENCE)
    return found


def test_the_cluster_completes(made: Cluster, hits: dict[str, list[str]]) -> None:
    assert set(made.ready_nodes()) == {"m1", "m2", "m3"}
    for name, stages in hits.items():
        assert {"pki", "init" if name == "m1" else "join"} <= set(stages)
    told = "; ".join(f"{name}: {', '.join(stages)}" for name, stages in hits.items())
    note("D", f"power cut {sum(map(len, hits.values()))} times while a stage was at work ({told}): all Ready")


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
