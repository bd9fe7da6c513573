"""Knows how to wait for machines: until every node is done, one of them cannot go on, or the time is over."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator.vm.driver import Running
from generator.vm.machine import CONSOLE
from generator.vm.status import NodeStatus, ask_status
from generator.vm.timeline import Timeline

INTERVAL = 0.5

# Told the seconds since the first power-on, the node, and what happened.
Say = Callable[[float, str, str], None]


@dataclass(slots=True)
class Watched:
    """A machine and what is known of its boot."""

    running: Running
    timeline: Timeline
    ending: str = ""

    @property
    def done(self) -> bool:
        return self.ending == "done"

    def look(self, now: float, status: NodeStatus | None) -> list[str]:
        """What is new; sets `ending` when nothing more can happen."""
        news = self.timeline.look(now, status)
        if status and status.done:
            self.ending = "done"
            news.append("is ready")
        elif status and status.stopped:
            self.ending = "stopped"
        elif not self.running.on:
            self.ending = "off"
            news.append(f"went off; its console: {self.running.home / CONSOLE}")
        return news


class Watch:
    """Looks at all machines of OUT that were powered on by this command."""

    def __init__(self, out: Path, say: Say) -> None:
        self._out = out
        self._say = say
        self._began = time.monotonic()
        self._machines: dict[str, Watched] = {}

    def add(self, running: Running, console_offset: int) -> None:
        """Begins to look at a machine that has just been powered on."""
        timeline = Timeline(running.home / CONSOLE, time.monotonic(), console_offset)
        known = (ask_status(self._out) or {}).get(running.node)
        if known:
            timeline.know(known)
        self._machines[running.node] = Watched(running, timeline)

    def tell(self, node: str, words: str) -> None:
        """Says something of a node, with the time."""
        self._say(self.seconds, node, words)

    def until(self, deadline: float) -> bool:
        """Whether every node was done before `deadline` (seconds from now)."""
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            self._look(ask_status(self._out) or {})
            if all(watched.ending for watched in self._machines.values()):
                break
            time.sleep(INTERVAL)
        return all(watched.done for watched in self._machines.values())

    def _look(self, status: Mapping[str, NodeStatus]) -> None:
        for node, watched in self._machines.items():
            if watched.ending:
                continue
            for words in watched.look(time.monotonic(), status.get(node)):
                self.tell(node, words)

    @property
    def seconds(self) -> float:
        """Since the watch began."""
        return time.monotonic() - self._began

    @property
    def endings(self) -> dict[str, str]:
        """node -> done, stopped, off, or waiting."""
        return {node: watched.ending or "waiting" for node, watched in self._machines.items()}

    def data(self) -> dict[str, Any]:
        """Plain data for --json."""
        return {
            node: {"ending": watched.ending or "waiting", **watched.timeline.data()}
            for node, watched in self._machines.items()
        }
