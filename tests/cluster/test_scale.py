"""Scenario G: nine nodes on this machine."""

from pathlib import Path

import pytest

from tests.cluster.place import Cluster
from tests.cluster.proof import note
from tests.cluster.spec import Shape

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(5400)]

SHAPE = Shape("g", masters=3, workers=6)
WANTED = 14


def available() -> float:
    """GiB of memory that this machine could still give."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) / 2**20


def test_nine_nodes_are_ready(made: Cluster) -> None:
    before = available()
    if before < WANTED:
        pytest.skip(f"nine nodes want {WANTED} GiB of memory, {before:.0f} are available")
    made.power_on(made.shape.names)
    made.until_ready(made.shape.names, 1800)
    made.until_done(made.shape.names)
    used = before - available()
    coordinator = made.site.coordinator
    assert coordinator is not None
    slowest = max(made.ready.values())
    share = f"the coordinator's share {coordinator.cpu_seconds:.0f} CPU s, {coordinator.resident:.0f} MiB"
    note("G", f"3 masters + 6 workers, containers: all Ready after {slowest:.0f} s, {used:.0f} GiB; {share}")
