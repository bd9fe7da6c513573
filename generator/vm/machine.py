"""Knows what the machine of a node is: its card, its size, and the folder that holds its state."""

import uuid
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

CONSOLE = "console.log"


class DriverName(StrEnum):
    """What runs a machine: an emulator with a kernel of its own, or a container that boots systemd."""

    QEMU = "qemu"
    NSPAWN = "nspawn"


class Acceleration(StrEnum):
    """How QEMU runs a guest's instructions; `auto` takes KVM when it proves itself."""

    AUTO = "auto"
    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True, slots=True)
class Size:
    """`memory` in MiB, `cpus` as the guest sees them. A container node shares the host's and ignores both."""

    memory: int
    cpus: int


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine of one node. Everything that it writes lies in `home`, which outlives it."""

    node: str
    mac: str
    home: Path
    size: Size

    @property
    def console(self) -> Path:
        """The console's log; it grows over all starts."""
        return self.home / CONSOLE

    @property
    def uuid(self) -> str:
        """The firmware's product_uuid: the same at every start, another for every card."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self.mac))
