"""Knows how QEMU runs a node: an overlay disk that survives, a seed, a card, a console that is kept."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from generator.errors import LocalError
from generator.iso import seed_iso
from generator.vm.acceleration import QEMU, arguments
from generator.vm.image import Image
from generator.vm.machine import CONSOLE, Acceleration, DriverName, Machine
from generator.vm.network import Bridge, Network, UserNetwork
from generator.vm.process import Process, run, spawn
from generator.vm.seed import LocalSeed, Seed, UrlSeed
from generator.vm.unix import unix_socket

DISK = "disk.qcow2"
SEED = "seed.iso"
QMP = "qmp.sock"
OUTPUT = "qemu.log"
# A cloud image has a few hundred MiB to spare, a Kubernetes node needs more. The file stays sparse.
GROWTH = "+10G"


@dataclass(frozen=True, slots=True)
class Qemu:
    """Runs machines with QEMU."""

    image: Image
    network: Network
    acceleration: Acceleration

    @property
    def name(self) -> DriverName:
        return DriverName.QEMU

    @property
    def summary(self) -> str:
        return f"QEMU with {self.acceleration.upper()}"

    def prepare(self, machine: Machine, seed: Seed) -> None:
        """Makes the overlay disk, unless a start before left one, and the seed's disk."""
        if isinstance(seed, LocalSeed):
            _write_iso(machine.home / SEED, seed)
        self._make_disk(machine)

    def _make_disk(self, machine: Machine) -> None:
        disk = machine.home / DISK
        if disk.exists():
            return
        if self.image.disk is None:
            raise LocalError.because("the image has no disk", hint="give an image with disk.raw or disk.qcow2")
        new = disk.with_suffix(".new")
        backing = ["-b", str(self.image.disk), "-F", self.image.disk_format]
        run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(new)])
        run(["qemu-img", "resize", "-q", str(new), GROWTH])
        new.chmod(0o600)
        new.rename(disk)

    def start(self, machine: Machine, seed: Seed) -> Process:
        """Powers the machine on. The process is QEMU itself."""
        handle = self.network.open_tap() if isinstance(self.network, Bridge) else None
        handles = () if handle is None else (handle,)
        (machine.home / QMP).unlink(missing_ok=True)
        try:
            process = spawn(
                command(self, machine, seed, handle), log=machine.home / OUTPUT, folder=machine.home, handles=handles
            )
        finally:
            if handle is not None:
                os.close(handle)
        if process.wait(0.5):
            said = (machine.home / OUTPUT).read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise LocalError.because(
                f"QEMU ended at once: {said[-1] if said else 'without a word'}", file=str(machine.home / OUTPUT)
            )
        return process


def _write_iso(path: Path, seed: LocalSeed) -> None:
    """NoCloud's disk, readable by its owner only: it may hold the enrolment's secret."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(seed_iso(seed.files()))


def shut_down(home: Path) -> None:
    """Presses the power button (QMP system_powerdown); the guest decides when it is off."""
    with unix_socket(home / QMP) as talk, talk.makefile("rwb") as lines:
        for order in ("qmp_capabilities", "system_powerdown"):
            lines.readline()
            lines.write(json.dumps({"execute": order}).encode() + b"\n")
            lines.flush()
        lines.readline()


def command(qemu: Qemu, machine: Machine, seed: Seed, tap: int | None) -> list[str]:
    """The whole command line; it holds no secret, for everybody can read it."""
    size = machine.size
    return [
        QEMU,
        *("-name", f"kubeseed-{machine.node}", "-uuid", machine.uuid, "-machine", "q35"),
        *arguments(qemu.acceleration),
        *("-smp", str(size.cpus), "-m", str(size.memory)),
        *("-nodefaults", "-display", "none"),
        *("-chardev", f"file,id=console,path={CONSOLE},append=on", "-serial", "chardev:console"),
        *("-chardev", f"socket,id=qmp,path={QMP},server=on,wait=off", "-mon", "chardev=qmp,mode=control"),
        *("-device", "virtio-rng-pci"),
        *("-drive", f"file={DISK},if=virtio,format=qcow2,discard=unmap"),
        *_seed_arguments(seed),
        *("-netdev", qemu.network.argument if isinstance(qemu.network, UserNetwork) else f"tap,id=net0,fd={tap}"),
        *("-device", f"virtio-net-pci,netdev=net0,mac={machine.mac}"),
        *_kernel_arguments(qemu.image),
    ]


def _seed_arguments(seed: Seed) -> list[str]:
    """A disk labelled CIDATA, or the firmware's serial number: cloud-init's NoCloud looks at both."""
    match seed:
        case LocalSeed():
            return ["-drive", f"file={SEED},if=virtio,format=raw,readonly=on"]
        case UrlSeed():
            return ["-smbios", f"type=1,serial={seed.datasource.replace(',', ',,')}"]


def _kernel_arguments(image: Image) -> list[str]:
    if image.kernel is None:
        return []
    initrd = ["-initrd", str(image.initrd)] if image.initrd else []
    return ["-kernel", str(image.kernel), *initrd, "-append", image.command_line]
