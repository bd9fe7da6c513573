"""Knows where the doctor looks: logs in files or in the journal of their units, and the inventory below OUT."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from generator.disk import describe
from generator.errors import LocalError
from generator.image.program import capture

# As docs/pxe.md and docs/coordinator.md name the units.
BOOT_SERVER, COORDINATOR = "kubeseed-pxe", "kubeseed"


def read_log(file: Path | None, unit: str) -> list[str]:
    """The lines of `file`, or of the unit's last day; none where there is no journal."""
    if file:
        with describe(file):
            return file.read_text(encoding="utf-8", errors="replace").splitlines()
    try:
        return capture(["journalctl", f"--unit={unit}", "--since=-1day", "--output=cat", "--quiet"]).splitlines()
    except LocalError:
        return []


def read_inventory(out: Path) -> Mapping[str, Any]:
    """The inventory that the coordinator reads."""
    path = out / "coordinator" / "inventory.json"
    with describe(path):
        data = path.read_bytes()
    try:
        tree: Mapping[str, Any] = json.loads(data)
    except ValueError as error:
        raise LocalError.because(
            "this is no inventory", file=str(path), hint="kubeseed generate SPEC -o OUT"
        ) from error
    return tree
