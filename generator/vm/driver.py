"""Knows what QEMU and nspawn have in common, and which of them a machine was started with."""

import json
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from generator.disk import describe
from generator.vm import nspawn, qemu
from generator.vm.machine import DriverName, Machine
from generator.vm.process import Process
from generator.vm.seed import Seed

RECORD = "machine.json"


class Driver(Protocol):
    """Runs machines. A machine's disk lives in its home and survives; `prepare` makes it once."""

    @property
    def name(self) -> DriverName: ...

    @property
    def summary(self) -> str:
        """What a person is told of it."""

    def prepare(self, machine: Machine, seed: Seed) -> None: ...

    def start(self, machine: Machine, seed: Seed) -> Process:
        """Powers the machine on; it is off when the process ends."""


@dataclass(frozen=True, slots=True)
class Running:
    """A machine that was powered on: what runs it, since when (seconds since 1970)."""

    node: str
    home: Path
    driver: DriverName
    process: Process
    since: float

    @property
    def on(self) -> bool:
        """Whether it is still powered."""
        return self.process.alive

    def shut_down(self, seconds: float) -> bool:
        """Asks the guest to power off; after `seconds` its power is cut. Whether it went by itself."""
        try:
            if self.driver is DriverName.QEMU:
                qemu.shut_down(self.home)
            else:
                nspawn.shut_down(self.process)
        except OSError:
            pass  # its monitor is gone or deaf: the power goes
        else:
            if self.process.wait(seconds):
                return True
        self.cut()
        return False

    def cut(self) -> None:
        """Takes the power away at once: what the guest had not written is lost."""
        self.process.send(signal.SIGKILL)
        self.process.wait(10)


def power_on(driver: Driver, machine: Machine, seed: Seed) -> Running:
    """Prepares and starts a machine and writes down what runs it."""
    machine.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    driver.prepare(machine, seed)
    running = Running(machine.node, machine.home, driver.name, driver.start(machine, seed), time.time())
    _write_record(running)
    return running


def find(home: Path) -> Running | None:
    """What was written down at the last power-on, whether it is still on or not."""
    record = home / RECORD
    if not record.exists():
        return None
    with describe(record):
        data = json.loads(record.read_bytes())
    return Running(home.name, home, DriverName(data["driver"]), Process.parse(data["process"]), float(data["since"]))


def _write_record(running: Running) -> None:
    data = {"driver": running.driver, "process": str(running.process), "since": running.since}
    new = running.home / f"{RECORD}.new"
    new.write_text(json.dumps(data), encoding="utf-8")
    new.rename(running.home / RECORD)
