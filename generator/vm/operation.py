"""Knows what `vm up`, `down` and `list` do, told in plain data."""

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator.errors import LocalError, UsageError
from generator.vm.acceleration import choose
from generator.vm.driver import Driver, Running, find, power_on
from generator.vm.image import load_image
from generator.vm.inotify import make_room
from generator.vm.inventory import Inventory, Node, load_inventory
from generator.vm.machine import Acceleration, DriverName, Machine, Size
from generator.vm.network import Bridge, Network, UserNetwork
from generator.vm.nspawn import Nspawn
from generator.vm.qemu import Qemu
from generator.vm.seed import LocalSeed, Seed, UrlSeed
from generator.vm.status import ask_status
from generator.vm.watch import Say, Watch

FOLDER = "vm"


@dataclass(frozen=True, slots=True)
class Order:
    """How machines are wanted: the options of `vm up`."""

    image: Path
    driver: DriverName
    bridge: str | None
    boot_url: str | None
    acceleration: Acceleration
    memory: int
    cpus: int
    fresh: bool

    def machine(self, out: Path, node: Node) -> Machine:
        return Machine(node.name, node.mac, _home(out, node.name), Size(self.memory, self.cpus))

    def seed(self, out: Path, node: Node) -> Seed:
        """The URL ends with a slash: cloud-init puts the file names right behind it."""
        if self.boot_url:
            return UrlSeed(f"{self.boot_url.rstrip('/')}/seed/{node.name}/")
        return LocalSeed(out / "nodes" / node.name)


def power_up(out: Path, names: Sequence[str], order: Order, say: Say, deadline: float | None) -> dict[str, Any]:
    """Powers nodes on; with a deadline waits until they are ready. What it started is off again when that fails."""
    _check_linux()
    inventory = load_inventory(out)
    nodes = inventory.select(names)
    driver = _driver(order, inventory, nodes)
    if deadline is not None and ask_status(out) is None:
        hint = f"start it first: kubeseed serve {out}; or do not wait for the nodes: --detach"
        raise LocalError.because("no coordinator answers for this folder", file=str(out), hint=hint)
    if order.driver is DriverName.NSPAWN and (told := make_room()):
        say(0.0, "this host", told)
    watch = Watch(out, say)
    with _off_on_failure() as started:
        for node in nodes:
            started += _start(driver, order.machine(out, node), order.seed(out, node), order, watch)
        if deadline is not None:
            _wait(watch, out, deadline)
    return watch.data()


@contextmanager
def _off_on_failure() -> Iterator[list[Running]]:
    """Powers off what was put into the list when the block fails, Ctrl-C included: nobody would look after it."""
    started: list[Running] = []
    good = False
    try:
        yield started
        good = True
    finally:
        if not good:
            for running in started:
                running.cut()


def _wait(watch: Watch, out: Path, deadline: float) -> None:
    if watch.until(deadline):
        return
    left = ", ".join(f"{node} {ending}" for node, ending in watch.endings.items() if ending != "done")
    hint = f"the consoles in {out / FOLDER}/NODE/console.log tell why; kubeseed status {out} shows the stages"
    raise LocalError.because(f"not ready after {watch.seconds:.0f} s: {left}; powered off again", hint=hint)


def _start(driver: Driver, machine: Machine, seed: Seed, order: Order, watch: Watch) -> list[Running]:
    """Powers one machine on, unless it is on already."""
    known = find(machine.home)
    if known and known.on:
        watch.tell(machine.node, f"is on already, process {known.process.pid}")
        watch.add(known, 0)
        return []
    if order.fresh and machine.home.exists():
        shutil.rmtree(machine.home)
    offset = machine.console.stat().st_size if machine.console.exists() else 0
    running = power_on(driver, machine, seed)
    watch.add(running, offset)
    watch.tell(machine.node, f"power on: {driver.summary}, process {running.process.pid}, console {machine.console}")
    return [running]


def _driver(order: Order, inventory: Inventory, nodes: Sequence[Node]) -> Driver:
    image = load_image(order.image)
    bridge = Bridge(order.bridge) if order.bridge else None
    if bridge:
        bridge.check()
    if order.driver is DriverName.NSPAWN:
        if bridge is None:
            raise UsageError.because("container nodes need a bridge", hint="name it: --bridge br0")
        return Nspawn(image, bridge)
    return Qemu(image, bridge or _user_network(inventory, nodes), choose(order.acceleration))


def _user_network(inventory: Inventory, nodes: Sequence[Node]) -> Network:
    if len(nodes) > 1:
        hint = "boot one node only, or put them on a bridge of this host: --bridge br0"
        raise UsageError.because(f"on QEMU's user network {len(nodes)} nodes cannot see each other", hint=hint)
    return UserNetwork.around(nodes[0].address, inventory.coordinator)


def power_down(out: Path, names: Sequence[str], grace: float, say: Say) -> dict[str, Any]:
    """Powers nodes off, politely while `grace` lasts. node -> `off`, `cut`, or `was off`."""
    began = time.monotonic()
    result: dict[str, Any] = {}
    for running in _chosen(out, names):
        result[running.node] = _end(running, grace) if running.on else "was off"
        say(time.monotonic() - began, running.node, result[running.node])
    return result


def _end(running: Running, grace: float) -> str:
    if grace and running.shut_down(grace):
        return "off"
    running.cut()
    return "cut"


def listed(out: Path) -> list[dict[str, Any]]:
    """Every machine of OUT that was ever powered on."""
    return [
        {
            "node": running.node,
            "driver": running.driver,
            "on": running.on,
            "process": running.process.pid if running.on else None,
            "since": running.since,
            "home": str(running.home),
        }
        for running in _all(out)
    ]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The machines for a person."""
    if not rows:
        return "no machines yet: kubeseed vm up OUT --image PATH"
    lines = [("node", "driver", "power", "process", "home")]
    lines += [
        (row["node"], row["driver"], "on" if row["on"] else "off", row["process"] or "", row["home"]) for row in rows
    ]
    return "\n".join(
        f"{node:<16} {driver:<8} {power:<6} {process:<8} {home}" for node, driver, power, process, home in lines
    )


def _home(out: Path, node: str) -> Path:
    return out.resolve() / FOLDER / node


def _all(out: Path) -> list[Running]:
    homes = sorted((out.resolve() / FOLDER).glob("*/"))
    return [running for home in homes if (running := find(home))]


def _chosen(out: Path, names: Sequence[str]) -> list[Running]:
    known = {running.node: running for running in _all(out)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError.because(f"never powered on: {', '.join(unknown)}", hint="see: kubeseed vm list OUT")
    return [known[name] for name in names] if names else list(known.values())


def _check_linux() -> None:
    if sys.platform != "linux":
        raise LocalError.because("machines run on Linux only", hint="run this command on a Linux host")
