"""Fixtures of all tests that boot machines: the run, the installed command, the images."""

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.lab.image import debian_image
from tests.lab.installed import ROOT, installed_kubeseed
from tests.lab.run import Run, begin, clear

ARTEFACTS = ROOT / "test-artefacts"
MACHINES = ("vm", "cluster", "cluster_core", "metal")
FOLDERS_OF_MACHINES = ("tests/cluster/", "tests/pxe/", "tests/vm/")
# Scenarios that follow each other in one process; a third runs all others. Each row takes about as long.
LANES = {
    "test_restore.py": "first",
    "test_scale.py": "first",
    "test_coordinator_down.py": "second",
    "test_power_cuts.py": "second",
}
KEPT = ("*.log", "*.json", "*.yaml", "out/vm/*/*.log")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Two more options."""
    parser.addoption("--build-kubernetes", action="store_true", help="build Kubernetes when it is not in the cache")
    parser.addoption("--lanes", action="store_true", help="with -n 3: three scenarios of tests/cluster at a time")


class Spread(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Tests spread over processes: one of them boots the machines; a module of the others stays together."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return "machines" if module.startswith(FOLDERS_OF_MACHINES) else module


class Lanes(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Scenarios in three rows, each in a process of its own."""

    def _split_scope(self, nodeid: str) -> str:
        scenario = nodeid.partition("::")[0].removeprefix("tests/cluster/")
        return LANES.get(scenario, "third")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """For `-n`, unless `--dist` asks for something else."""
    if config.getoption("--lanes"):
        return Lanes(config, log)
    return Spread(config, log) if config.getvalue("dist") == "load" else None


@pytest.fixture(scope="session")
def lab() -> Iterator[Run]:
    """This run. What dead runs left over is gone, and at the end so is everything of this one."""
    if os.geteuid() != 0:
        pytest.skip("machines need root: network namespaces, bridges, containers (make test uses sudo)")
    run = begin()
    yield run
    clear(run)


@pytest.fixture(scope="session")
def kubeseed(lab: Run) -> Iterator[Path]:
    """The `kubeseed` command as a user has it: the wheel in a fresh virtual environment."""
    with installed_kubeseed(lab.folder) as command:
        yield command


@pytest.fixture(scope="session")
def debian(lab: Run) -> Path:
    """The image of a plain Debian."""
    assert lab
    return debian_image()


def keep_logs(folder: Path, name: str) -> Path:
    """Copies the logs of a site to test-artefacts/NAME, which is where a failure sends its reader."""
    target = ARTEFACTS / name
    shutil.rmtree(target, ignore_errors=True)
    for pattern in KEPT:
        for path in folder.glob(pattern):
            copy = target / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    return target


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test of the lab names the folder with the logs."""
    report = yield
    if report.failed and any(item.get_closest_marker(name) for name in MACHINES):
        report.sections.append(("lab", f"logs are kept in {ARTEFACTS}"))
    return report
