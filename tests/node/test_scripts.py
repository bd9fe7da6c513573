"""The scripts as text: what every shell of the matrix accepts, what a seed can carry."""

import gzip
import re
import subprocess
from pathlib import Path

import pytest

from generator.scripts import SEED
from tests.node.machine import TEMPLATES, without_comments

UNITS = sorted(path for path in TEMPLATES.iterdir() if path.suffix in (".service", ".timer"))
PROGRAMS = ["run", "lib.sh", "system.sh", "kubernetes.sh", "balancer", "refresh", "renew", "check-apiserver"]
SCRIPTS = [TEMPLATES / name for name in PROGRAMS] + sorted((TEMPLATES / "stage").iterdir())
# Options that curl 7.29 of CentOS 7 has.
CURL = """-q -sS -sSf -sSfL -sf -sfk -K -o -D -w -d -H --cacert --capath --cert --key --noproxy --proto --proto-redir
    --connect-timeout --max-time --insecure --data --data-urlencode --data-binary"""


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
    assert not re.search(
        r"(^|[;&| ])(eval|source) |bash -c|sh -c|curl[^|]*\| *sh", without_comments(script.read_text())
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=name)
def test_curl_is_asked_for_nothing_that_an_old_one_lacks(script: Path) -> None:
    text = without_comments(script.read_text()).replace("\\\n", " ")
    calls = re.findall(r"\b(?:curl|request|await|local_curl) ([^|;\n]*)", text)
    used = {word for call in calls for word in re.findall(r"(?<![\w/'\"=-])(--?[a-zA-Z][\w-]*)", call)}
    assert used - set(CURL.split()) <= {"-n", "-o"}


@pytest.mark.parametrize("library", ["system.sh", "kubernetes.sh"])
@pytest.mark.parametrize("script", SCRIPTS, ids=name)
def test_it_sources_what_it_calls(script: Path, library: str) -> None:
    defined = set(re.findall(r"^(\w+)\(\)", (TEMPLATES / library).read_text(), re.MULTILINE))
    text = without_comments(script.read_text())
    own = set(re.findall(r"^(\w+)\(\)", text, re.MULTILINE))
    called = {
        word
        for word in defined - own
        if re.search(rf"(^|[;&|!({{] *|then |do |else |\$\() *{word}\b", text, re.MULTILINE)
    }
    assert not called or f'. "$KUBESEED/{library}"' in text or script.name == library, called


def test_what_a_seed_carries_is_small() -> None:
    carried = "".join(without_comments((TEMPLATES / name).read_text()) for name in sorted(SEED))
    assert len(carried) <= 20 * 1024
    assert len(gzip.compress(carried.encode(), 9, mtime=0)) <= 8 * 1024


def test_the_programs_are_small_too() -> None:
    everything = "".join(without_comments(path.read_text()) for path in [*SCRIPTS, *UNITS])
    assert len(everything) <= 60 * 1024
