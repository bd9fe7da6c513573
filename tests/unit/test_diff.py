"""What `diff` shows is what changes, and never a secret."""

import re
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.diff import differences, redact
from generator.manifest import Entry, Manifest
from generator.render.artefact import Artefact
from generator.secret import STARS

HASH = "$6$rounds=5000$saltsalt$" + "aB3./" * 17
TOKEN = "0123456789abcdef" * 4
KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n"


def shown(out: Path, before: list[Artefact], after: list[Artefact]) -> str:
    for artefact in before:
        (out / artefact.path).parent.mkdir(parents=True, exist_ok=True)
        (out / artefact.path).write_bytes(artefact.data)
    manifest = Manifest.of(((artefact.path, Entry.of(artefact)) for artefact in before), "")
    return "\n".join(line for found in differences(out, manifest, after) for line in found.lines())


def test_nothing_changed(tmp_path: Path) -> None:
    files = [Artefact("nodes/m1/meta-data", b"a\n"), Artefact("nodes/m1/user-data", TOKEN.encode(), 0o600, secret=True)]
    assert shown(tmp_path, files, files) == ""


def test_a_change_an_addition_and_a_removal(tmp_path: Path) -> None:
    before = [Artefact("a", b"1\n2\n"), Artefact("gone", b"x\n")]
    assert shown(tmp_path, before, [Artefact("a", b"1\n3\n"), Artefact("new", b"y\n")]).splitlines() == [
        *("--- a/a", "+++ b/a", "@@ -1,2 +1,2 @@", " 1", "-2", "+3"),
        *("--- /dev/null", "+++ b/new", "@@ -0,0 +1 @@", "+y"),
        *("--- a/gone", "+++ /dev/null", "@@ -1 +0,0 @@", "-x"),
    ]


def test_secrets_of_a_seed_are_starred_on_both_sides(tmp_path: Path) -> None:
    old = f"a: 1\npasswd: '{HASH}'\nheader: Enrolment 0011:{TOKEN}\n".encode()
    new = f"a: 2\npasswd: '{HASH[:-2]}zz'\nheader: Enrolment 0011:{TOKEN[::-1]}\n".encode()
    text = shown(
        tmp_path,
        [Artefact("nodes/m1/user-data", old, 0o600, secret=True)],
        [Artefact("nodes/m1/user-data", new, 0o600, secret=True)],
    )
    assert "-a: 1\n+a: 2" in text
    assert STARS in text
    assert not [secret for secret in (HASH, HASH[:-2], TOKEN, TOKEN[::-1]) if secret in text]


def test_a_change_of_a_secret_alone_is_told(tmp_path: Path) -> None:
    files = [[Artefact("nodes/m1/user-data", token.encode(), 0o600, secret=True)] for token in (TOKEN, TOKEN[::-1])]
    assert shown(tmp_path, *files) == "Secret in nodes/m1/user-data differs"


@pytest.mark.parametrize("path", ["secrets/root.key", "coordinator/files/node-m1/passwords"])
def test_other_secret_files_are_only_named(tmp_path: Path, path: str) -> None:
    text = shown(tmp_path, [Artefact(path, b"sesame\n", secret=True)], [Artefact(path, b"open\n", secret=True)])
    assert text == f"Secret file {path} differs"


def test_a_file_that_was_secret_stays_so(tmp_path: Path) -> None:
    text = shown(tmp_path, [Artefact("x/passwords", b"sesame\n", secret=True)], [Artefact("x/passwords", b"open\n")])
    assert "sesame" not in text


def test_compressed_files_are_only_named(tmp_path: Path) -> None:
    assert (
        shown(tmp_path, [], [Artefact("nodes/m1/user-data.gz", b"\x1f\x8b")])
        == "Binary file nodes/m1/user-data.gz is new"
    )


@given(st.text(), st.sampled_from([HASH, TOKEN, KEY]), st.sampled_from(["", "\n", "'", " ", ":", '"']))
def test_no_secret_survives_between_any_text(text: str, secret: str, edge: str) -> None:
    assert secret.strip() not in redact(f"{text}{edge or ' '}{secret}{edge}")


def test_a_secret_in_base64_is_starred_and_long_lines_are_cut(tmp_path: Path) -> None:
    def preseed(token: str, number: int) -> Artefact:
        script = b64encode(f"land '/etc/kubeseed/enrol.curl' 0600\nheader: {token}\n".encode()).decode()
        text = f"number: {number}\nlate_command: {{ echo {script}; }}|sh\npadding: {'x ' * 300}{number}\n"
        return Artefact("nodes/m1/preseed.cfg", text.encode(), 0o600, secret=True)

    text = shown(tmp_path, [preseed(TOKEN, 1)], [preseed(TOKEN[::-1], 2)])
    assert "-number: 1" in text
    assert not re.search(r"[0-9A-Za-z+/]{80,}", text)
    assert max(map(len, text.splitlines())) < 240
    assert "… (" in text
