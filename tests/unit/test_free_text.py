"""Every field of the spec that takes free text: it appears literally in every artefact, or the spec is refused.

Each artefact is read back with the reader of its format. But for the text itself, it must say what it says for a
harmless word: nothing opened a line, left its quotes, became another word, or was evaluated.
"""

import json
from collections.abc import Mapping
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.errors import SpecError
from generator.parse import parse_cluster
from generator.render.artefact import Artefact
from generator.spec.cluster import Cluster
from tests.free_text import BASES, KEY, Keys, render, replaced, said, text_fields, with_text
from tests.installing import PROFILES

URL, HTTPS, LINE = ("http://h.example/", ""), ("https://h.example/", ""), ("", "")
SOURCES = ("kubernetes", "engine", "base", "epel")
# What stands before and after the text in each field.
FREE: Mapping[Keys, tuple[str, str]] = {
    ("coordinator", "url"): HTTPS,
    ("coordinator", "urls"): HTTPS,
    ("kubernetes", "apiServer", "extraArgs"): LINE,
    ("kubernetes", "controllerManager", "extraArgs"): LINE,
    ("kubernetes", "scheduler", "extraArgs"): LINE,
    ("engine", "registries"): URL,
    ("engine", "version"): LINE,
    ("engine", "containerd", "metricsAddress"): LINE,
    ("engine", "containerd", "snapshotter"): LINE,
    ("engine", "containerd", "defaultRuntime"): LINE,
    ("engine", "containerd", "extraConfig"): ("k = '", "'\n"),
    ("engine", "docker", "logDriver"): LINE,
    **{("packages", source, manager): HTTPS for source in SOURCES for manager in ("apt", "yum", "keyUrl")},
    ("packages", "cniVersion"): LINE,
    ("packages", "proxy", "http"): URL,
    ("packages", "proxy", "https"): URL,
    ("nodes", "serial"): LINE,
    ("nodes", "users", "sshKeys"): ("ssh-ed25519 AAAA ", ""),
}
# Free text that is no part of an artefact: a file's name, an id that has to be a profile's, addons of a later release.
ELSEWHERE: set[Keys] = {
    ("kubernetes", "audit", "policyFile"), ("defaults", "os"), ("nodes", "os"),
    ("addons", "certManager", "acmeEmail"), ("addons", "certManager", "acmeServer"), ("coordinator", "bootUrl"),
}  # fmt: skip
# Not unlike anything: what it stands beside is the text to look for.
MARK = "Zq"
HARMLESS = "Zqx"
HOSTILE = st.sampled_from([
    "'", '"', "\\", "'\\''", "'; touch /x; '", "\\n", "$(id)", "`id`", "${net0/mac}", "; reboot", "&& x", "|| y",
    "#", " #", "=", "%", "%n", "$basearch", "\n", "\r\n", "\n%end\n", "\nKUBESEED\n", "\t", "\0", "\x1b[31m", "\u2028",
    "\x85", "\ufeff", "\u202e", "😀", "ü", "---", "\n---\n", "...", ": ", "- a", "!!python/object:os.system", "*a",
    "&a", "null", "]", "[x]", "{x}", "  ", "{{ 7*7 }}", "{% raw %}", "]]>", "<<EOF", "~", "?", "!", ",", "|", ">",
    "(", ")",
])  # fmt: skip
FRAGMENTS = st.lists(HOSTILE | st.text(max_size=8), min_size=1, max_size=3).map("".join)
TEXTS = st.tuples(st.sampled_from([(MARK, ""), ("", MARK), (MARK, MARK)]), FRAGMENTS).map(
    lambda drawn: f"{drawn[0][0]}{drawn[1]}{drawn[0][1]}"
)


@cache
def harmless(base: str, path: Keys) -> Mapping[str, Artefact]:
    before, after = FREE[path]
    return render(with_text(base, path, before + HARMLESS + after))


@pytest.mark.parametrize("path", FREE, ids=".".join)
@settings(max_examples=10)
@given(text=TEXTS, base=st.sampled_from(sorted(BASES)))
def test_hostile_text_arrives_as_it_was_or_is_refused(path: Keys, text: str, base: str) -> None:
    before, after = FREE[path]
    try:
        artefacts = render(with_text(base, path, before + text + after))
    except SpecError as refusal:
        assert refusal.problems  # noqa: PT017 - a refusal is the other good end
        return
    expected = harmless(base, path)
    assert artefacts.keys() == expected.keys()
    differ = [name for name in artefacts if artefacts[name] != expected[name] and not name.endswith(".gz")]
    for name in differ:
        assert replaced(said(artefacts[name]), text, HARMLESS) == replaced(said(expected[name]), "", ""), name


@pytest.mark.parametrize("path", FREE, ids=".".join)
def test_the_text_arrives_somewhere(path: Keys) -> None:
    if path == ("packages", "epel", "apt"):
        pytest.skip("EPEL has no packages for apt; the field is there because all sources have the same")
    assert any(HARMLESS.encode() in file.data for base in BASES for file in harmless(base, path).values())


def takes(path: Keys, text: str) -> bool:
    try:
        Cluster.model_validate(with_text("debian", path, text))
        parse_cluster(json.dumps(with_text("debian", path, text)), PROFILES)
    except (ValueError, SpecError):
        return False
    return True


def test_no_other_field_takes_free_text() -> None:
    frames = {*FREE.values(), ("/", ""), ("a", ""), ("example.org/", ""), ("k=", ":NoSchedule")}
    risky = [
        f"{before}Zq{text}Zq{after}" for before, after in sorted(frames) for text in ("$(id)", "{{ x }}", "'", "ü")
    ]
    found = {path for path in text_fields() if path[-1] != KEY and any(takes(path, text) for text in risky)}
    also = {("defaults", *path[1:]) for path in FREE if path[0] == "nodes"}
    assert found - FREE.keys() - ELSEWHERE - also == set()


def test_no_map_takes_a_free_key() -> None:
    keys = {path for path in text_fields() if path[-1] == KEY}
    assert keys
    assert {path for path in keys for text in ("Zq$(id)", "Zq: x", "ü", "a b", "a\nb") if takes(path, text)} == set()


@pytest.mark.parametrize("base", BASES)
def test_every_base_is_a_good_spec(base: str) -> None:
    assert render(with_text(base, ("metadata", "name"), "prod"))
