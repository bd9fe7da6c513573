"""Knows the inventory's file: reads it, sees that it changed, and keeps the last good one when the new one is wrong."""

import os
from pathlib import Path

from http_server.errors import StartError
from http_server.inventory import Inventory, InventoryError, parse_inventory


class InventoryFile:
    """The current inventory. `generate` replaces the file in one step, so a reader never sees half of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _signature(path)
        self._current = _load(path)

    @property
    def current(self) -> Inventory:
        """The newest good inventory; take it once per request."""
        return self._current

    def refresh(self, *, force: bool = False) -> bool:
        """Reads the file again when it changed, or always; True when it says something new, StartError when bad."""
        signature = _signature(self._path)
        if signature == self._seen and not force:
            return False
        self._seen = signature
        fresh = _load(self._path)
        if fresh.cluster != self._current.cluster:
            raise StartError(
                f"the inventory is now of cluster {fresh.cluster!r}, this coordinator serves {self._current.cluster!r}"
            )
        changed = fresh != self._current
        self._current = fresh
        return changed


def _signature(path: Path) -> tuple[int, int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - one call for all three numbers
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def _load(path: Path) -> Inventory:
    try:
        return parse_inventory(path.read_bytes())
    except FileNotFoundError:
        raise StartError(
            f"{path} is missing: the cluster is not generated yet", "kubeseed generate SPEC -o OUT"
        ) from None
    except InventoryError as error:
        raise StartError(
            f"{path} is not an inventory this coordinator can read:\n{error}", "kubeseed generate SPEC -o OUT"
        ) from None
