"""Knows a site as an operator has it: a spec, the folder generated from it, a coordinator, machines on a bridge."""

import json
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

from tests.lab.command import LabError
from tests.lab.namespace import BRIDGE, HOST, Namespace
from tests.lab.service import Service
from tests.lab.wait import until

BOOT_URL = f"http://{HOST}:8080"


@dataclass(slots=True)
class Site:
    """Everything is done by the installed `kubeseed` command, inside the namespace."""

    kubeseed: Path
    network: Namespace
    folder: Path
    coordinator: Service | None = None

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def command(self, *words: str | Path, timeout: float = 120) -> str:
        """`kubeseed WORDS`; its standard output."""
        return self.network.call([self.kubeseed, *words], timeout=timeout)

    def generate(self, spec: str) -> None:
        """Writes the spec and generates OUT from it."""
        path = self.folder / "cluster.yaml"
        path.write_text(spec)
        self.command("generate", path, "-o", self.out)

    def serve(self) -> Service:
        """Starts the coordinator and waits until it answers."""
        listen = ["--listen", f"{HOST}:8443", "--boot-listen", f"{HOST}:8080"]
        command: list[str | Path] = [self.kubeseed, "serve", self.out, *listen]
        self.coordinator = self.network.start(command, self.folder / "coordinator.log")
        until("the coordinator answers", self._answers, 30)
        return self.coordinator

    def _answers(self) -> bool:
        if self.coordinator and not self.coordinator.running:
            raise LabError(f"the coordinator ended:\n{self.coordinator.log.read_text()[-2000:]}")
        try:
            return bool(self.look())
        except LabError:
            return False

    def status(self) -> dict[str, Any]:
        """What `kubeseed status --json` says."""
        answer: dict[str, Any] = json.loads(self.command("status", self.out, "--json"))
        return answer

    def look(self) -> dict[str, Any]:
        """The same from the operator's socket, for those who ask every second. LabError when nobody answers."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(10)
                connection.connect(str(self.out / "state/admin.sock"))
                connection.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                answer = HTTPResponse(connection)
                answer.begin()
                data: dict[str, Any] = json.loads(answer.read())
        except OSError as error:
            raise LabError(f"the coordinator does not answer: {error}") from error
        return data

    def node(self, name: str) -> dict[str, Any]:
        """A node's part of the status."""
        found: dict[str, Any] = self.look()["nodes"][name]
        return found

    def stage_is(self, name: str, stage: str, *states: str) -> bool:
        """Whether a node's stage was last reported in one of these states."""
        return self.node(name)["stages"].get(stage, {}).get("state") in states

    def power_on(self, nodes: Sequence[str], image: Path, *options: str) -> dict[str, Any]:
        """`kubeseed vm up --detach`."""
        words: list[str | Path] = ["--image", image, "--bridge", BRIDGE, "--detach", "--json", *options]
        answer: dict[str, Any] = json.loads(self.command("vm", "up", self.out, *nodes, *words))
        return answer

    def machines(self) -> list[dict[str, Any]]:
        """What `kubeseed vm list --json` says."""
        rows: list[dict[str, Any]] = json.loads(self.command("vm", "list", self.out, "--json"))
        return rows

    def process(self, node: str) -> int:
        """The process of a node's machine, as `vm up` wrote it down; of a container the first one inside."""
        record = json.loads((self.out / "vm" / node / "machine.json").read_text())
        return int(record["process"].split()[0])

    def power_on_time(self, node: str) -> float:
        """When `vm up` last switched a node on: seconds since 1970."""
        return float(json.loads((self.out / "vm" / node / "machine.json").read_text())["since"])

    def cut_power_at_once(self, node: str) -> None:
        """A stage can be over before a command has started: the machine's process is killed first."""
        os.kill(self.process(node), signal.SIGKILL)
        self.cut_power(node)

    def cut_power(self, node: str) -> None:
        """kill -9 of what runs the machine."""
        self.command("vm", "down", self.out, node, "--cut")

    def shut_down(self, *nodes: str, seconds: int = 90) -> None:
        """Presses the power button."""
        self.command(
            "vm", "down", self.out, *nodes, "--deadline", str(seconds), timeout=seconds * (len(nodes) or 9) + 30
        )

    def console(self, node: str) -> str:
        """What a node has shown so far, over all its starts."""
        path = self.out / "vm" / node / "console.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def until_done(self, node: str, seconds: float) -> dict[str, Any]:
        """Waits until the node's bootstrap is over; its status."""
        until(f"{node} is done", lambda: self.stage_is(node, "scrub", "done"), seconds, interval=1)
        return self.node(node)


@contextmanager
def site(kubeseed: Path, network: Namespace, folder: Path) -> Iterator[Site]:
    """A site whose coordinator and machines are off at the end of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Site(kubeseed, network, folder)
    try:
        yield made
    finally:
        if (made.out / "vm").exists():
            made.command("vm", "down", made.out, "--cut")
        if made.coordinator:
            made.coordinator.stop()
