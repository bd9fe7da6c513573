"""The scripts as text: what every shell of the matrix accepts, what a seed can carry."""

import gzip
import re
import subprocess
from pathlib import Path

import pytest

from tests.node.machine import TEMPLATES, without_comments

UNITS = sorted(path for path in TEMPLATES.iterdir() if path.suffix in (".service", ".timer"))
PROGRAMS = ["run", "lib.sh", "kubernetes.sh", "balancer", "refresh", "check-apiserver"]
SCRIPTS = [TEMPLATES / name for name in PROGRAMS] + sorted((TEMPLATES / "stage").iterdir())
# Options that curl 7.29 of CentOS 7 has.
CURL = """-q -sS -sSf -sf -sfk -K -o -D -w -d -H --cacert --capath --cert --key --noproxy --proto --connect-timeout
    --max-time --insecure --data --data-urlencode --data-binary""".split()
FIRST_MASTER_LACKS = {"join", "check-apiserver"}
JOINER_LACKS = {"init", "addons"}


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("script", SCRIPTS, ids=name)
def test_shellcheck_has_nothing_to_say(script: Path) -> None:
    subprocess.run(["shellcheck", "-s", "sh", script], check=True)


@pytest.mark.parametrize("shell", ["dash", "busybox", "bash"])
@pytest.mark.parametrize("script", SCRIPTS, ids=name)
def test_every_shell_reads_it(script: Path, shell: str) -> None:
    command = [shell, "sh"] if shell == "busybox" else [shell]
    subprocess.run([*command, "-n", script], check=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=name)
def test_it_says_what_it_is_in_its_first_lines(script: Path) -> None:
    lines = script.read_text().splitlines()
    assert lines[0] == ("# shellcheck shell=sh" if script.suffix else "#!/bin/sh")
    assert re.match(r"# [A-Za-z-]+", lines[1])
    assert max(map(len, lines)) <= 140


@pytest.mark.parametrize("script", SCRIPTS, ids=name)
def test_nothing_is_evaluated(script: Path) -> None:
    assert not re.search(r"(^|[;&| ])(eval|source) |bash -c|sh -c|curl[^|]*\| *sh", without_comments(script.read_text()))


@pytest.mark.parametrize("script", SCRIPTS, ids=name)
def test_curl_is_asked_for_nothing_that_an_old_one_lacks(script: Path) -> None:
    text = without_comments(script.read_text()).replace("\\\n", " ")
    calls = [part for line in text.splitlines() for part in re.findall(r"\b(?:curl|request|await|local_curl) (.*)", line)]
    used = {word for call in calls for word in re.findall(r"(?<![\w/'\"=-])(--?[a-zA-Z][\w-]*)", re.split(r"[|;]", call)[0])}
    assert used - set(CURL) <= {"-n", "-o"}


@pytest.mark.parametrize("lacks", [FIRST_MASTER_LACKS, JOINER_LACKS], ids=["first master", "joining master"])
def test_a_node_of_every_role_fits_into_a_seed(lacks: set[str]) -> None:
    carried = "".join(without_comments(path.read_text()) for path in [*SCRIPTS, *UNITS] if path.name not in lacks)
    assert len(carried) <= 44 * 1024
    assert len(gzip.compress(carried.encode(), 9, mtime=0)) <= 14 * 1024
