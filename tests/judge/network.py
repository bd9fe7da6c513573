"""Makes machines that are no more than a network: namespaces on one bridge, each with an address of its own."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path


def ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
    return done.stdout


class Machine:
    """A namespace; programs started in it end with it."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._running: list[subprocess.Popen[bytes]] = []

    def inside(self, arguments: Sequence[str | Path]) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.namespace}", *map(str, arguments)]

    def start(self, arguments: Sequence[str | Path], log: Path) -> subprocess.Popen[bytes]:
        with log.open("wb") as output:
            process = subprocess.Popen(self.inside(arguments), stdout=output, stderr=output)
        self._running.append(process)
        return process

    def call(self, arguments: Sequence[str | Path], **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a program to its end."""
        return subprocess.run(
            self.inside(arguments),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, **environment},
        )

    @property
    def addresses(self) -> str:
        return ip("-n", self.namespace, "-brief", "address", "show", "dev", "eth0")

    def stop(self) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(30)


@contextlib.contextmanager
def machines(addresses: Mapping[str, str]) -> Iterator[dict[str, Machine]]:
    """Machines by name; `addresses` with their prefix."""
    prefix = f"ksj{os.getpid()}"
    hub = f"{prefix}-hub"
    made: dict[str, Machine] = {}
    try:
        ip("netns", "add", hub)
        ip("-n", hub, "link", "add", "br0", "type", "bridge")
        ip("-n", hub, "link", "set", "br0", "up")
        for name, address in addresses.items():
            made[name] = _attach(hub, f"{prefix}-{name}", name, address)
        yield made
    finally:
        for machine in made.values():
            machine.stop()
        for namespace in (*(machine.namespace for machine in made.values()), hub):
            subprocess.run(["ip", "netns", "delete", namespace], check=False, capture_output=True)


def _attach(hub: str, namespace: str, name: str, address: str) -> Machine:
    ip("netns", "add", namespace)
    ip("-n", namespace, "link", "add", "eth0", "type", "veth", "peer", "name", f"v-{name}", "netns", hub)
    ip("-n", hub, "link", "set", f"v-{name}", "master", "br0", "up")
    ip("-n", namespace, "address", "add", address, "dev", "eth0", "nodad")
    for link in ("lo", "eth0"):
        ip("-n", namespace, "link", "set", link, "up")
    return Machine(namespace)
