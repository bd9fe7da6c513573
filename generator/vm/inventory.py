"""Knows which nodes a generated folder holds, from the inventory that `generate` wrote for the coordinator."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from generator.disk import describe
from generator.errors import LocalError, UsageError
from generator.nearest import choice_hint


@dataclass(frozen=True, slots=True)
class Node:
    """What a machine has to know of its node."""

    name: str
    address: str
    mac: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """The nodes of OUT in the order of the spec, and the coordinator's host."""

    nodes: tuple[Node, ...]
    coordinator: str

    def select(self, names: Sequence[str]) -> tuple[Node, ...]:
        """The named nodes, or all of them. UsageError lists every name that is unknown."""
        known = {node.name: node for node in self.nodes}
        unknown = [name for name in names if name not in known]
        if unknown:
            hints = "; ".join(choice_hint(name, known) for name in unknown)
            raise UsageError.because(f"no such node: {', '.join(unknown)}", hint=hints)
        return tuple(known[name] for name in names) if names else self.nodes


def load_inventory(out: Path) -> Inventory:
    """Reads OUT/coordinator/inventory.json (docs/protocol.md, The inventory)."""
    path = out / "coordinator" / "inventory.json"
    with describe(path):
        text = path.read_text(encoding="utf-8")
    try:
        data = json.loads(text)
        nodes = tuple(Node(name, node["address"], _mac(name, node["macs"])) for name, node in data["nodes"].items())
        return Inventory(nodes, urlsplit(data["urls"][0]).hostname or "")
    except (ValueError, KeyError, IndexError, TypeError) as error:
        hint = "write it again: kubeseed generate SPEC -o OUT"
        raise LocalError.because("this is not an inventory", file=str(path), hint=hint) from error


def _mac(name: str, macs: Sequence[str]) -> str:
    """The card's address: the spec's first, or one of QEMU's own range that is always the same for this name."""
    tail = hashlib.sha256(name.encode()).hexdigest()[:6]
    return macs[0] if macs else f"52:54:00:{tail[:2]}:{tail[2:4]}:{tail[4:]}"
