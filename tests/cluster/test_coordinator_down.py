"""Scenario E: the coordinator is away for three minutes in the middle; the cluster completes without help."""

import time

import pytest

from tests.cluster.place import Cluster
from tests.cluster.proof import note
from tests.cluster.spec import Shape
from tests.lab.wait import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]

SHAPE = Shape("e", masters=3, workers=1)
AWAY = 180


def test_it_completes(made: Cluster) -> None:
    made.power_on(made.shape.names)
    until("the first master is at work", lambda: made.site.stage_is("m1", "pki", "done"), 900)
    assert made.site.coordinator is not None
    made.site.coordinator.kill()
    time.sleep(AWAY)
    made.site.serve()
    made.until_ready(made.shape.names, 1200)
    made.until_done(made.shape.names)
    last = max(made.ready.values())
    note("E", f"coordinator killed for {AWAY} s while the first master worked: 3 + 1 nodes Ready after {last:.0f} s")
