"""Fixtures of the coordinator's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.process import Coordinator, running


@pytest.fixture
def coordinator(tmp_path: Path) -> Iterator[Coordinator]:
    """A coordinator with three masters and two workers, join mode `certificate`."""
    with running(tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    """One coordinator for all tests of a module that change nothing which another one looks at."""
    with running(tmp_path_factory.mktemp("shared")) as started:
        yield started
