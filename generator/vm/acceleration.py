"""Knows whether this machine's KVM really runs guests: /dev/kvm may be there, open, and still run none."""

import os
import subprocess
import tempfile
from pathlib import Path

from generator.errors import LocalError
from generator.vm.machine import Acceleration
from generator.vm.process import missing

QEMU = "qemu-system-x86_64"
KVM = Path("/dev/kvm")
# A guest that is alone needs a tenth of a second; nested or emulated KVM that needs longer than this is no gain.
PROBE_SECONDS = 3.0
# isa-debug-exit ends QEMU with (value << 1) | 1; the boot sector writes 1.
PROBE_EXIT = 3
# probe.S, assembled.
_CODE = bytes.fromhex(
    "fa31c08ed88ec0bf0010b90018fcf3abc70600100320c70600200330c7060030830066b8001000000f22d80f20e00c200f22e0"
    "66b9800000c00f3280cc010f300f0116707c0f20c0660d010000800f22c0ea567c0800b001e6f4f4ebfd0f1f00000000000000"
    "000000000000009a20000f00607c"
)
BOOT_SECTOR = _CODE.ljust(510, b"\0") + b"\x55\xaa"


def arguments(acceleration: Acceleration) -> list[str]:
    """QEMU's words for it."""
    return ["-accel", "kvm" if acceleration is Acceleration.KVM else "tcg,thread=multi", "-cpu", "max"]


def choose(wanted: Acceleration) -> Acceleration:
    """KVM or TCG. LocalError when KVM is demanded and this user cannot even open it."""
    usable = os.access(KVM, os.R_OK | os.W_OK)
    if wanted is Acceleration.KVM and not usable:
        hint = "join the group kvm, switch virtualisation on in the firmware, or use --accel tcg"
        raise LocalError.because("KVM is not usable here", file=str(KVM), hint=hint)
    if wanted is Acceleration.AUTO:
        return Acceleration.KVM if usable and answers(Acceleration.KVM) else Acceleration.TCG
    return wanted


def answers(acceleration: Acceleration, seconds: float = PROBE_SECONDS) -> bool:
    """Whether a guest that only switches to long mode comes back within `seconds`."""
    with tempfile.TemporaryDirectory(prefix="kubeseed-probe-") as folder:
        disk = Path(folder) / "disk"
        disk.write_bytes(BOOT_SECTOR)
        try:
            guest = subprocess.run(_command(acceleration, disk), capture_output=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            return False
        except FileNotFoundError as error:
            raise missing(QEMU) from error
    return guest.returncode == PROBE_EXIT


def _command(acceleration: Acceleration, disk: Path) -> list[str]:
    drive = f"file={disk},format=raw,snapshot=on"
    leave = "isa-debug-exit,iobase=0xf4,iosize=1"
    bare = ["-nodefaults", "-display", "none", "-m", "64", "-no-reboot"]
    return [QEMU, *bare, *arguments(acceleration), "-drive", drive, "-device", leave]
