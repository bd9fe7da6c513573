"""The story is told once for each tier; all tests of the tier share it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.run import Run
from tests.vm.story import CONTAINERS, MACHINES, Story, told


@pytest.fixture(scope="session", params=[CONTAINERS, MACHINES], ids=lambda tier: tier.driver)
def story(lab: Run, kubeseed: Path, debian: Path, request: pytest.FixtureRequest) -> Iterator[Story]:
    with told(lab, kubeseed, debian, request.param) as story:
        yield story
