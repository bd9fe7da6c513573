"""Templates are strict: an undefined name fails, and no value can open a line or leave its quotes."""

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from generator.render import text
from generator.render.text import UnprintableValueError, ipxe, kickstart, one_line, preseed, sh

PRINTABLE = st.text().filter(str.isprintable)
UNPRINTABLE = st.sampled_from(["a\nb", "a\rb", "\0", "a\tb", "\x7f", "a\u2028b", "\x85", "\ud800"])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(text, "data_root", lambda: tmp_path)
    (tmp_path / "templates").mkdir()
    return tmp_path / "templates"


@given(PRINTABLE)
def test_a_shell_word_comes_back_as_it_was(value: str) -> None:
    assert shlex.split(sh(value)) == [value]
    assert shlex.split(kickstart(value), comments=True) == [value]


@pytest.mark.parametrize("value", ["it's", "$(id)", "`id`", "\\", "a;b", "*", "", "-n", "!x", "'\\''"])
def test_a_real_shell_agrees(value: str) -> None:
    said = subprocess.run(["sh", "-c", f"printf %s {sh(value)}"], check=True, capture_output=True, text=True).stdout
    assert said == value


@given(UNPRINTABLE)
def test_a_control_character_is_refused_everywhere(value: str) -> None:
    for quote in (sh, ipxe, kickstart, preseed, one_line):
        with pytest.raises(UnprintableValueError) as refusal:
            quote(value)
        assert value not in str(refusal.value)


@pytest.mark.parametrize("value", ["${net0/mac}", "a b", "a && b", "a||b", ";", "a ; b", "#!ipxe", "a'b", "a&&b"])
def test_ipxe_refuses_what_it_would_interpret(value: str) -> None:
    with pytest.raises(UnprintableValueError):
        ipxe(value)


def test_ipxe_takes_urls() -> None:
    assert ipxe("ds=nocloud-net;s=http://10.0.0.1/") == "ds=nocloud-net;s=http://10.0.0.1/"
    assert ipxe("http://10.0.0.1:8080/seed/m1/?a=b&c=d") == "http://10.0.0.1:8080/seed/m1/?a=b&c=d"


@pytest.mark.parametrize("value", [" a", "a ", "a\\"])
def test_preseed_refuses_what_debconf_would_lose(value: str) -> None:
    with pytest.raises(UnprintableValueError):
        preseed(value)


def test_an_undefined_name_fails(folder: Path) -> None:
    (folder / "x").write_text("{{ missing }}\n")
    with pytest.raises(UndefinedError):
        text.render("x", {})


def test_a_value_cannot_open_a_line(folder: Path) -> None:
    (folder / "x").write_text("server {{ name }};\n")
    assert text.render("x", {"name": "a"}) == "server a;\n"
    with pytest.raises(UnprintableValueError):
        text.render("x", {"name": "a;\ninclude /etc/shadow"})


def test_only_quoting_filters_and_join_exist(folder: Path) -> None:
    (folder / "x").write_text("{{ names | join(' ') }} {{ name | sh }}\n")
    assert text.render("x", {"names": ["a", "b"], "name": "c d"}) == "a b 'c d'\n"
