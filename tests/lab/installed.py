"""Knows how the tests get what a user installs: the built wheel in a fresh virtual environment."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_virtualenv import VirtualEnv

from tests.lab.command import run

ROOT = Path(__file__).resolve().parents[2]
MINUTES = 60


@contextmanager
def installed_kubeseed(folder: Path) -> Iterator[Path]:
    """The `kubeseed` command of a new virtual environment that holds the wheel of this tree and nothing of the tree."""
    wheels = folder / "wheel"
    run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", wheels, ROOT], timeout=5 * MINUTES)
    workspace = folder / "environment"
    workspace.mkdir()
    environment = VirtualEnv(workspace=str(workspace), delete_workspace=True)
    try:
        run(
            [environment.python, "-m", "pip", "install", "-q", *wheels.glob("*.whl")],
            timeout=10 * MINUTES,
            folder=folder,
        )
        yield Path(environment.virtualenv) / "bin" / "kubeseed"
    finally:
        environment.teardown()
