"""Knows a process for sure: by its id and the moment it started, so that no stranger with a reused id is touched."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from generator.errors import LocalError


@dataclass(frozen=True, slots=True)
class Process:
    """`started` is the kernel's start time in clock ticks since boot (proc(5), /proc/PID/stat, field 22)."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Self:
        """The process that has this id now. LocalError when there is none."""
        stat = _stat(pid)
        if stat is None:
            raise LocalError.because(f"process {pid} has ended already")
        return cls(pid, int(stat[19]))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what `str` wrote."""
        pid, _, started = text.strip().partition(" ")
        return cls(int(pid), int(started))

    def __str__(self) -> str:
        return f"{self.pid} {self.started}"

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        stat = _stat(self.pid)
        return stat is not None and int(stat[19]) == self.started and stat[0] not in "ZX"

    def send(self, number: int) -> None:
        """Sends a signal to this very process, or to nobody."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.alive:
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return
        finally:
            os.close(handle)

    def wait(self, seconds: float) -> bool:
        """Whether it ended within `seconds`."""
        deadline = time.monotonic() + seconds
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    @property
    def children(self) -> tuple[int, ...]:
        """Process ids of the children of its first thread (proc(5), task/TID/children)."""
        try:
            text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        except OSError:
            return ()
        return tuple(int(child) for child in text.split())


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third (state) on: the second may hold blanks and brackets."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def spawn(
    arguments: Sequence[str],
    *,
    log: Path,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    handles: Sequence[int] = (),
) -> Process:
    """Starts a process that outlives this one; its output goes to the end of `log`."""
    with log.open("ab") as output:
        os.fchmod(output.fileno(), 0o600)
        try:
            child = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                pass_fds=handles,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise missing(arguments[0]) from error
    child.returncode = 0  # nobody waits for it: it is meant to outlive us, and Python complains of children forgotten
    return Process.of(child.pid)


def run(arguments: Sequence[str]) -> None:
    """Runs a program to its end. LocalError with its last line when it fails."""
    try:
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise missing(arguments[0]) from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise LocalError.because(f"{' '.join(arguments[:3])} failed: {said[-1] if said else done.returncode}")


PACKAGES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "nsenter": "util-linux",
}


def missing(program: str) -> LocalError:
    """The error that names the package of a program."""
    hint = f"install it, on Debian and Ubuntu: apt install {PACKAGES.get(program, program)}"
    return LocalError.because(f"{program} is not installed", hint=hint)
