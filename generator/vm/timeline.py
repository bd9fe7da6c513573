"""Knows how far a boot is: marks on the console, the node's own reports, each with the seconds since power-on."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from generator.vm.status import NodeStatus, Stage

# What the kernel, systemd, cloud-init and the stage runner write on the console, in this order.
MARKS: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("kernel", re.compile(rb"Linux version \d")),
    ("user space", re.compile(rb"systemd\[1\]: systemd \d|Welcome to .*!")),
    ("cloud-init", re.compile(rb"Cloud-init v\. \S+ running 'init-local'")),
    ("network", re.compile(rb"Cloud-init v\. \S+ running 'init'")),
    ("cloud-init finished", re.compile(rb"Cloud-init v\. \S+ finished")),
)
# A mark that a read cuts in two is found by the next one, which goes back this far.
OVERLAP = 256


@dataclass(frozen=True, slots=True)
class StageMark:
    """A stage as it was last seen, and when (seconds since power-on)."""

    stage: Stage
    at: float


@dataclass(slots=True)
class Timeline:
    """What happened on one machine since it was powered on at `began` (monotonic seconds)."""

    console: Path
    began: float
    offset: int = 0
    marks: dict[str, float] = field(default_factory=dict)
    stages: dict[str, StageMark] = field(default_factory=dict)
    state: str = ""

    def look(self, now: float, status: NodeStatus | None) -> list[str]:
        """What is new since the last look, a few words each."""
        seconds = now - self.began
        found = self._read_console()
        self.marks.update(dict.fromkeys(found, seconds))
        return [*found, *(self._read_status(status, seconds) if status else [])]

    def know(self, status: NodeStatus) -> None:
        """Takes what an earlier boot has reported for known: it is no news."""
        self.state = status.state
        self.stages = {name: StageMark(stage, 0.0) for name, stage in status.stages.items()}

    def _read_console(self) -> list[str]:
        data = _read_from(self.console, self.offset)
        self.offset += max(0, len(data) - OVERLAP)
        return [name for name, pattern in MARKS if name not in self.marks and pattern.search(data)]

    def _read_status(self, status: NodeStatus, seconds: float) -> list[str]:
        news = []
        if status.state != self.state:
            self.state = status.state
            news.append(_enrolment(status))
        for name, stage in status.stages.items():
            known = self.stages.get(name)
            if known is None or known.stage != stage:
                self.stages[name] = StageMark(stage, seconds)
                news.append(_describe(name, stage))
        return news

    def data(self) -> dict[str, Any]:
        """Plain data for --json: seconds since power-on everywhere, but `seconds` of a stage is its own time."""
        stages = {
            name: {
                "state": mark.stage.state,
                "at": round(mark.at, 1),
                "seconds": mark.stage.seconds,
                "attempts": mark.stage.attempts,
            }
            for name, mark in self.stages.items()
        }
        marks = {name: round(self.marks[name], 1) for name, _ in MARKS if name in self.marks}
        return {"marks": marks, "stages": stages}


def _read_from(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read()
    except FileNotFoundError:
        return b""


def _enrolment(status: NodeStatus) -> str:
    shown = f", fingerprint {status.fingerprint}" if status.state == "pending" else ""
    return f"enrolment: {status.state}{shown}"


def _describe(name: str, stage: Stage) -> str:
    match stage.state:
        case "started":
            return f"{name} ..."
        case "done":
            return f"{name} done in {stage.seconds:.0f} s"
        case "failed":
            return f"{name} failed, attempt {stage.attempts}; it will be tried again"
        case "stopped":
            return f"{name} stopped: no retry can mend it, the node's console says what to do"
        case _:
            return f"{name} {stage.state}"
