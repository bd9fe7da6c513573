"""Knows how to read the journals of container nodes from this host; a virtual machine keeps its own."""

from contextlib import suppress
from pathlib import Path

from tests.lab.command import LabError, run


def export(root: Path, target: Path) -> Path:
    """The whole journal as text, for searching: in its files long entries are compressed."""
    folder = f"--directory={root / 'var/log/journal'}"
    target.write_text(run(["journalctl", folder, "--output=export", "--all", "--no-pager"], timeout=300))
    return target


def keep_journals(machines: Path, folder: Path, *units: str) -> None:
    """Writes what these units of each node said, or all of them, into folder/journal-NODE.log, for people."""
    chosen = [f"--unit={unit}" for unit in units]
    for journal in machines.glob("*/root/var/log/journal"):
        node = journal.relative_to(machines).parts[0]
        with suppress(LabError):
            words = run(["journalctl", f"--directory={journal}", "--no-pager", *chosen])
            (folder / f"journal-{node}.log").write_text(words)
