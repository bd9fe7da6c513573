"""Knows how the lab runs a program to its end: with a deadline, its output kept and shown when it fails."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


class LabError(Exception):
    """Something of the lab, not of the product, went wrong."""


def run(
    arguments: Sequence[str | Path],
    *,
    timeout: float = 120,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    log: Path | None = None,
) -> str:
    """The program's standard output. LabError with the end of what it said when it fails or takes too long."""
    words = [str(argument) for argument in arguments]
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
            cwd=folder,
            check=False,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(words[:6])} took longer than {timeout:.0f} s") from error
    if log:
        log.write_text(done.stdout + done.stderr)
    if done.returncode:
        said = (done.stdout + done.stderr)[-4000:]
        raise LabError(f"{' '.join(words[:6])} ended with {done.returncode}:\n{said}")
    return done.stdout


def say(words: str) -> None:
    """Tells the person at the terminal, whatever pytest captures: some things of the lab take minutes."""
    if sys.__stderr__:
        sys.__stderr__.write(f"\nlab: {words}\n")
        sys.__stderr__.flush()
