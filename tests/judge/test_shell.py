"""shellcheck has nothing to say about any script that is shipped or rendered; and it can say no."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installing import KINDS, rendered

pytestmark = pytest.mark.judge
TEMPLATES = Path(__file__).resolve().parents[2] / "templates"


def shellcheck(script: str) -> "subprocess.CompletedProcess[str]":
    # Each rendered line stands for itself, with a redirection of its own.
    command = ("shellcheck", "--shell=sh", "--exclude=SC2129", "-")
    return subprocess.run(command, input=script, capture_output=True, text=True, check=False, timeout=120)


def shipped() -> Iterator[Path]:
    """Every file of templates/ that says in its first line that a shell reads it."""
    for path in sorted(TEMPLATES.rglob("*")):
        if path.is_file() and re.match(r"#!/bin/(ba|da)?sh\b|# shellcheck shell=", path.read_text()):
            yield path


@pytest.mark.parametrize("script", list(shipped()), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_shellcheck_takes_every_script(script: Path) -> None:
    command = ("shellcheck", "--source-path", str(TEMPLATES), str(script))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout


def test_none_is_overlooked() -> None:
    names = {path.name for path in shipped()}
    assert {"run", "lib.sh", "enrol", "scrub", "backup", "restore"} <= names


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "%pre " in rendered(kind, "rocky-9")])
def test_shellcheck_takes_what_finds_the_disks(kind: str) -> None:
    script = rendered(kind, "rocky-9").partition("%pre ")[2].partition("\n")[2].partition("%end")[0]
    done = shellcheck(script)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("right", "wrong"), [('[ -b "$disk" ]', "[ -b $disk ]"), ("set -eu", "set -eu\nif true"), ("disk=$(", "disk=$((")]
)
def test_shellcheck_refuses_a_wrong_script(right: str, wrong: str) -> None:
    script = rendered("plain", "rocky-9").partition("%pre ")[2].partition("\n")[2].partition("%end")[0]
    assert right in script
    assert shellcheck(script.replace(right, wrong)).returncode != 0
