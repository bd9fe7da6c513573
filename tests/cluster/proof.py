"""Knows how a scenario is written down in one line: what was shown, in how many seconds, where."""

import datetime
import os
from pathlib import Path

from tests.lab.command import run
from tests.lab.installed import ROOT
from tests.lab.plugin import ARTEFACTS


def note(scenario: str, words: str) -> None:
    """Adds a line to test-artefacts/proof.md; docs/proof.md is kept from it."""
    ARTEFACTS.mkdir(exist_ok=True)
    with (ARTEFACTS / "proof.md").open("a") as file:
        file.write(
            f"| {scenario} | {words} | {_machine()} | {datetime.datetime.now(datetime.UTC):%F} | {_commit()} |\n"
        )


def _machine() -> str:
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 2**20
    return f"{os.cpu_count()} CPUs, {memory} GiB, load {os.getloadavg()[1]:.0f}"


def _commit() -> str:
    return run(["git", "-C", ROOT, "log", "-1", "--format=%h"]).strip() if (ROOT / ".git").exists() else "-"
