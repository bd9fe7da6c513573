"""Knows how to run a system program: line by line, with a clear error, and never through a shell of our own."""

import os
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from generator.errors import LocalError

# Debian's packages of the programs that come in another one than their name.
PACKAGES = {
    "sfdisk": "fdisk",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "mmd": "mtools",
    "mksquashfs": "squashfs-tools",
    "qemu-img": "qemu-utils",
    "unshare": "util-linux",
    "dnsmasq": "dnsmasq-base",
    "journalctl": "systemd",
}
SHOWN = 6


def run(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    text: str | None = None,
    stdin: Path | None = None,
    heard: Callable[[str], None] | None = None,
) -> None:
    """Runs a program to its end, telling `heard` each line of its output. LocalError with the last lines when it fails.

    Its input is `text`, the file `stdin`, or nothing.
    """
    last: deque[str] = deque(maxlen=SHOWN)
    source = stdin.open("rb") if stdin else None
    try:
        with start(arguments, environment, source.fileno() if source else _input(text)) as child:
            if text is not None and child.stdin:
                child.stdin.write(text)
                child.stdin.close()
            for line in child.stdout or ():
                last.append(line.rstrip())
                if heard:
                    heard(line.rstrip())
    finally:
        if source:
            source.close()
    if child.returncode:
        raise LocalError.because("\n".join([f"{arguments[0]} failed with status {child.returncode}", *last]))


def capture(arguments: Sequence[str]) -> str:
    """Runs a program to its end; everything that it prints."""
    lines: list[str] = []
    run(arguments, heard=lines.append)
    return "\n".join(lines)


def _input(text: str | None) -> int:
    return subprocess.DEVNULL if text is None else subprocess.PIPE


def start(arguments: Sequence[str], environment: Mapping[str, str] | None, stdin: int) -> subprocess.Popen[str]:
    """The running program; its output and errors come as one stream of text."""
    try:
        return subprocess.Popen(
            arguments,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
        )
    except FileNotFoundError as error:
        raise missing(arguments[0]) from error


def missing(program: str) -> LocalError:
    """The error that names the package of a program."""
    hint = f"install it, on Debian and Ubuntu: apt install {PACKAGES.get(program, program)}"
    return LocalError.because(f"{program} is not installed", hint=hint)
