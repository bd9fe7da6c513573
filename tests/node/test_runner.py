"""The runner: order, reports, waiting, power cuts, stopping."""

from tests.node.coordinator import Coordinator
from tests.node.machine import Machine


def test_runs_every_stage_once(machine: Machine, coordinator: Coordinator) -> None:
    status, output = machine.boot()
    print(output, coordinator.reports())
    assert status == 0
