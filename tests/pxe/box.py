"""Knows a bare machine: QEMU with a network card, perhaps a disk, and firmware that boots from the network first."""

import shutil
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from generator.vm.acceleration import arguments, choose
from generator.vm.machine import Acceleration
from tests.lab.command import run
from tests.lab.namespace import BRIDGE, Namespace
from tests.lab.service import Service
from tests.lab.wait import until

OVMF = Path("/usr/share/OVMF")
MIB = 2**20


class Firmware(StrEnum):
    """What runs before iPXE."""

    BIOS = "bios"
    UEFI = "uefi"


@dataclass(slots=True)
class Box:
    """A machine by its marks. What it shows on its serial line is kept over all starts."""

    network: Namespace
    folder: Path
    mac: str
    firmware: Firmware = Firmware.BIOS
    uuid: str = "6f3c1e7a-0000-4000-8000-000000000001"
    serial: str = "SN1"
    disk_size: int = 0  # MiB; 0: it has no disk
    memory: int = 1280
    plugged: bool = True  # into the network; it can only boot from its disk without
    running: Service | None = None
    _tap: str = ""
    _starts: int = field(default=0)

    @property
    def disk(self) -> Path:
        return self.folder / "disk.raw"

    @property
    def screen(self) -> Path:
        """Beside its folder, where logs are kept from."""
        return self.folder.with_suffix(".console.log")

    @property
    def console(self) -> str:
        """All that it has shown, without the control sequences of terminals."""
        return self.screen.read_text(errors="replace").replace("\r", "") if self.screen.exists() else ""

    def power_on(self) -> None:
        """Starts it; it boots from the network if the network lets it, else from its disk."""
        self.folder.mkdir(exist_ok=True)
        if self.disk_size and not self.disk.exists():
            with self.disk.open("wb") as file:
                file.truncate(self.disk_size * MIB)
        if self.plugged:
            self._plug_in()
        self.running = self.network.start(self._command(), self.folder.with_suffix(".qemu.log"))

    def power_off(self) -> None:
        """Takes the power away."""
        if self.running:
            self.running.kill()
            self.running = None

    def until_shown(self, words: str, seconds: float, *, times: int = 1) -> None:
        """Waits until the console has shown `words` so often."""
        until(f"{self.folder.name} shows {words!r}", lambda: self._shown(words) >= times, seconds, interval=1)

    def slow_down(self, megabits: int) -> None:
        """Lets so much through its cable from now on, so that what it does can be watched; 0 lifts the limit."""
        self._plug_in()
        where = ["dev", self._tap, "root"]
        command = ["replace", *where, *f"tbf rate {megabits}mbit burst 64kb latency 200ms".split()]
        run(["tc", "-n", self.network.name, "qdisc", *(command if megabits else ["delete", *where])])

    def has_boot_code(self) -> bool:
        """Whether anything is in the first or the last MiB of its disk: boot code or a partition table, old or new."""
        with self.disk.open("rb") as file:
            first = file.read(MIB)
            file.seek(-MIB, 2)
            return any(first) or any(file.read(MIB))

    def _shown(self, words: str) -> int:
        assert self.running is not None
        assert self.running.running, (self.folder.with_suffix(".qemu.log")).read_text()
        return self.shown(words)

    def shown(self, words: str) -> int:
        """How often the console has shown `words`; a firmware's console breaks lines after 80 characters."""
        return "".join(self.console.split()).count("".join(words.split()))

    def _plug_in(self) -> None:
        if self._tap:
            return
        self._tap = f"tap{len(self.network.links)}"
        run(["ip", "-n", self.network.name, "tuntap", "add", "dev", self._tap, "mode", "tap"])
        run(["ip", "-n", self.network.name, "link", "set", self._tap, "master", BRIDGE, "up"])

    def _command(self) -> list[str]:
        accelerated = choose(Acceleration.AUTO)
        disk = f"file={self.disk},if=none,id=disk,format=raw,discard=unmap,cache=unsafe"
        return [
            *("qemu-system-x86_64", "-machine", "q35,graphics=off", *arguments(accelerated)),
            *("-m", str(self.memory), "-smp", "2"),
            *("-nodefaults", "-display", "none", "-device", "virtio-rng-pci", "-uuid", self.uuid),
            *("-smbios", f"type=1,serial={self.serial}"),
            *("-chardev", f"file,id=console,path={self.screen},append=on", "-serial", "chardev:console"),
            *(self._card() if self.plugged else ()),
            *(("-drive", disk, "-device", "virtio-blk-pci,drive=disk,bootindex=2") if self.disk_size else ()),
            *self._flash(),
        ]

    def _card(self) -> list[str]:
        """The network first in its boot order."""
        return [
            *("-netdev", f"tap,id=net,ifname={self._tap},script=no,downscript=no"),
            *("-device", f"virtio-net-pci,netdev=net,mac={self.mac},bootindex=1{self._rom}"),
        ]

    @property
    def _rom(self) -> str:
        """UEFI without a ROM on the card: its own network stack loads iPXE."""
        return ",romfile=" if self.firmware is Firmware.UEFI else ""

    def _flash(self) -> list[str]:
        if self.firmware is Firmware.BIOS:
            return []
        variables = self.folder / "variables.fd"
        if not variables.exists():
            shutil.copy(OVMF / "OVMF_VARS_4M.fd", variables)
        return [
            # Asking over IPv6 in vain takes OVMF a minute.
            *("-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"),
            *("-drive", f"if=pflash,format=raw,readonly=on,file={OVMF / 'OVMF_CODE_4M.fd'}"),
            *("-drive", f"if=pflash,format=raw,file={variables}"),
        ]
