"""The programs as text, and as every shell of the matrix runs them."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backup.conftest import free_network
from tests.backup.etcd import Member, running
from tests.backup.node import TEMPLATES, Node

pytestmark = pytest.mark.judge

SCRIPTS = [TEMPLATES / "backup" / name for name in ("backup", "restore", "copies.sh")]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(script: Path) -> None:
    subprocess.run(["shellcheck", "-s", "sh", script], check=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_it_says_what_it_is_and_evaluates_nothing(script: Path) -> None:
    lines = script.read_text().splitlines()
    assert lines[0] == ("# shellcheck shell=sh" if script.suffix else "#!/bin/sh")
    assert re.match(r"# [A-Za-z-]+", lines[1])
    assert max(map(len, lines)) <= 140
    assert not re.search(r"(^|[;&| ])(eval|source) |bash -c|sh -c", "\n".join(lines))


def test_systemd_accepts_the_units() -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted((TEMPLATES / "backup").glob("kubeseed-backup.*"))],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "kubeseed" in line and "is not executable" not in line]
    assert said == []


@pytest.fixture(scope="module")
def member(module_folder: Path, programs: Path) -> Iterator[Member]:
    with running(module_folder / "etcd", free_network(), programs, size=1) as cluster:
        cluster.put_many(0, 100)
        yield cluster.members[0]


@pytest.fixture
def node(member: Member, folder: Path) -> Node:
    return Node(folder / "node", member)


@pytest.mark.parametrize("shell", ["busybox sh", "bash --posix", "yash"])
def test_every_shell_takes_and_judges_a_copy(node: Node, shell: str) -> None:
    program = shell.split()[0]
    if shutil.which(program) is None:
        pytest.skip(f"no {program} on this machine")
    took = node.run("backup", "now", under=f"/usr/bin/{shell}")
    assert took.code == 0, took.output
    judged = node.run("restore", "--check", node.ids()[0], under=f"/usr/bin/{shell}")
    assert judged.code == 0, judged.output
