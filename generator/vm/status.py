"""Knows how to ask the coordinator of OUT how far its nodes are (docs/protocol.md, Routes on the operator's socket)."""

import json
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from generator.vm.unix import unix_socket

LAST_STAGE = "scrub"


@dataclass(frozen=True, slots=True)
class Stage:
    """The latest word on a stage: its state, how many seconds it took, at which attempt."""

    state: str
    seconds: float
    attempts: int


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """How far a node is."""

    state: str = ""
    fingerprint: str = ""
    stages: dict[str, Stage] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether its bootstrap is over."""
        last = self.stages.get(LAST_STAGE)
        return last is not None and last.state == "done"

    @property
    def stopped(self) -> str:
        """The stage that no retry can mend, or nothing."""
        return next((name for name, stage in self.stages.items() if stage.state == "stopped"), "")


Status = dict[str, NodeStatus]


def ask_status(out: Path) -> Status | None:
    """The status of every node, or None while no coordinator answers."""
    try:
        with unix_socket(out / "state" / "admin.sock") as connection:
            connection.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = HTTPResponse(connection)
            answer.begin()
            data = json.loads(answer.read()) if answer.status == 200 else None
    except (OSError, HTTPException, ValueError):
        return None
    return {name: _node(node) for name, node in data["nodes"].items()} if data else None


def _node(data: dict[str, Any]) -> NodeStatus:
    stages = {
        name: Stage(stage["state"], float(stage["seconds"]), int(stage["attempts"]))
        for name, stage in data["stages"].items()
    }
    return NodeStatus(data["state"], data["fingerprint"], stages)
