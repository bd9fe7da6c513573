"""YAML with places: what values are, where they stand, what is refused, and that nothing hidden is ever shown."""

import contextlib
import resource
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as some

from generator.errors import KubeseedError, LocalError, SpecError
from generator.source import Source, dotted, parse_source, read_source
from generator.source.read import LIMIT


def parsed(text: str) -> Source:
    return parse_source(text.encode(), "spec.yaml")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1.30", "1.30"),
        ("no", "no"),
        ("True", "True"),
        ("52:54:00:00:00:11", "52:54:00:00:00:11"),
        ("0012", "0012"),
        ("0x10", "0x10"),
        ("2026-01-01", "2026-01-01"),
        ("1e3", "1e3"),
        ("9" * 30, "9" * 30),
        ("'110'", "110"),
        ("'true'", "true"),
        ("!!str 5", "5"),
        ("110", 110),
        ("-7", -7),
        ("true", True),
        ("false", False),
        ("~", None),
        ("null", None),
        ("", None),
    ],
)
def test_plain_words_mean_what_they_say(written: str, meant: object) -> None:
    data = parsed(f"key: {written}\n").data
    assert isinstance(data, dict)
    assert data == {"key": meant}
    assert type(data["key"]) is type(meant)


plain = some.recursive(
    some.none() | some.booleans() | some.integers(-(10**17), 10**17) | some.text("abc: -#'\"\n{}[]é", max_size=8),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text("abcd", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(some.dictionaries(some.text("abcd", min_size=1), plain, max_size=5), some.booleans())
def test_data_survives_being_written_and_read(data: dict[str, object], flow: bool) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow)
    assert parsed(text).data == yaml.safe_load(text) == data


@given(some.text() | some.text("a:-[]{}&*!|>'\"%@`#,? \n\t<"))
def test_no_text_makes_it_crash(text: str) -> None:
    with contextlib.suppress(KubeseedError):
        parsed(text)


@given(some.binary())
def test_no_bytes_make_it_crash(content: bytes) -> None:
    with contextlib.suppress(KubeseedError):
        parse_source(content, "spec.yaml")


TEXT = """\
# a comment
nodes:
- name: m1
  labels: {zone: a, "example.org/rack": r1}
- {name: m2}
"""


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        (("nodes",), 3, 1),
        (("nodes", 0, "name"), 3, 9),
        (("nodes", 0, "labels", "zone"), 4, 18),
        (("nodes", 1, "name"), 5, 10),
        (("nodes", 1, "mac"), 5, 3),
        (("nodes", 7, "name"), 2, 1),
    ],
)
def test_every_value_has_a_place(path: tuple[str | int, ...], line: int, column: int) -> None:
    problem = parsed(TEXT).problem(path, "here")
    assert (problem.line, problem.column) == (line, column)


def test_keys_have_places_of_their_own() -> None:
    problem = parsed(TEXT).key_problem(("nodes", 0, "labels"), "here")
    assert (problem.line, problem.column) == (4, 3)


def test_a_key_that_is_missing_at_the_top_is_told_where_the_spec_begins() -> None:
    problem = parsed("# mine\nkind: Cluster\n").problem(("nodes",), "missing")
    assert (problem.line, problem.column, problem.excerpt[-1]) == (2, 1, "       | ^")


def test_what_is_nowhere_has_no_place() -> None:
    problem = parsed(TEXT).problem(("coordinator", "url"), "missing")
    assert (problem.line, problem.excerpt) == (0, ())


def test_aliases_stand_where_their_anchor_does() -> None:
    source = parsed("a: &x {k: 1}\nb: *x\n")
    assert source.data == {"a": {"k": 1}, "b": {"k": 1}}
    assert source.problem(("b", "k"), "here").line == 1


def test_paths_are_written_as_people_write_them() -> None:
    assert dotted(("nodes", 3, "labels", "example.org/zone")) == 'nodes[3].labels["example.org/zone"]'
    assert dotted(("metadata", "name")) == "metadata.name"


def test_the_caret_stands_below_wide_characters_too() -> None:
    excerpt = parsed('名: "你好"\nb: 1\n').problem(("名",), "here").excerpt
    assert excerpt == ('     1 | 名: "你好"', "       |     ^")


def test_an_excerpt_cannot_drive_a_terminal() -> None:
    shown = str(parsed("a: '\u202e\u200b'\n").problem(("a",), "here"))
    assert shown.isascii() or all(char.isprintable() or char == "\n" for char in shown)


def test_long_lines_are_cut_around_the_place() -> None:
    excerpt = parsed(f"a: [{'x, ' * 500}y, {'z, ' * 500}]\n").problem(("a", 500), "here").excerpt
    assert all(len(line) < 120 for line in excerpt)
    caret = excerpt[-1].index("^")
    assert excerpt[-2][caret] == "y"


@pytest.mark.parametrize(
    "text",
    [
        "password: planted\nx: 1\n",
        "password: 'planted'\nx: 1\n",
        "password:\n  planted\nx: 1\n",
        "password: |\n  planted\nx: 1\n",
        "password: [planted, {a: planted}]\nx: 1\n",
        "{rootPassword: planted, x: 1}\n",
        "apiToken: planted\nx: 1\n",
        "url: http://me:planted@proxy/\nx: 1\n",
        "other: $6$salt$planted\nx: 1\n",
    ],
)
def test_an_excerpt_never_shows_a_secret(text: str) -> None:
    problem = parsed(text).problem(("x",), "here")
    assert "planted" not in str(problem)
    assert "****" in str(problem)


@pytest.mark.parametrize(
    "text",
    [
        "password: planted\nx: [\n",
        "- password: |\n    planted\nx: [\n",
        "password:\n  planted\nx: [\n",
        "{password: planted, x: [\n",
        "password: planted: planted\n",
        'password: "planted\n',
    ],
)
def test_a_syntax_error_never_shows_a_secret(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        parsed(text)
    assert "planted" not in str(caught.value)


def test_all_duplicate_keys_are_told_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        parsed("a: 1\na: 2\nb: [x, {c: 1, c: 2}]\n")
    assert [(problem.line, problem.column) for problem in caught.value.problems] == [(2, 1), (3, 15)]
    assert [problem.path for problem in caught.value.problems] == ["a", "b[1].c"]


def test_what_is_no_utf_8_is_shown_without_secrets() -> None:
    with pytest.raises(SpecError) as caught:
        parse_source(b"password: planted\nx: \xff\n", "spec.yaml")
    assert "planted" not in str(caught.value)


def test_a_byte_order_mark_and_windows_lines_are_no_fault() -> None:
    source = parse_source(b"\xef\xbb\xbfa: 1\r\nb: x\r\n", "spec.yaml")
    assert source.data == {"a": 1, "b": "x"}
    assert source.problem(("b",), "here").line == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"a: \xff\xfe\n", "spec.yaml:1:4: error: this is not UTF-8"),
        ("a: 1\n".encode("utf-16"), "binary"),
        (b"\x7fELF\0\0", "binary"),
        (b"a: 1\nb: \x07\n", "spec.yaml:2:4: error: the control character U+0007 stands here"),
    ],
)
def test_what_is_no_text_is_named(content: bytes, words: str) -> None:
    with pytest.raises(SpecError, match=words.replace("+", r"\+")):
        parse_source(content, "spec.yaml")


def test_a_file_of_more_than_twenty_megabytes_is_refused_unread(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    with large.open("wb") as file:
        file.truncate(LIMIT * 2)
    with pytest.raises(SpecError, match="the file has more than 20 MB, the most a spec may have"):
        read_source(large)


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_what_cannot_be_read_is_the_machines_fault(tmp_path: Path, name: str) -> None:
    with pytest.raises(LocalError, match="cannot read the spec"):
        read_source(tmp_path / name)


def test_ten_thousand_nodes_fit_in_memory(tmp_path: Path) -> None:
    """300 MiB is the promise for the whole process; reading alone stays far below it."""
    spec = tmp_path / "large.yaml"
    nodes = "\n".join(f"- {{name: n{i}, roles: [worker], address: 10.0.{i >> 8}.{i & 255}}}" for i in range(10_000))
    spec.write_text(f"nodes:\n{nodes}\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = read_source(spec).data
    assert isinstance(data, dict)
    assert len(data["nodes"]) == 10_000
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 100
