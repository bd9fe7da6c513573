"""What is dumped is read back as it was, by every kind of YAML reader, and people can read it."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from generator.render.dump import Data, dump_json, dump_yaml, dump_yaml_documents
from generator.secret import Secret
from generator.spec.frozenmap import FrozenMap
from generator.spec.node import Role
from generator.value import NodeName

SCALARS = st.none() | st.booleans() | st.integers() | st.text()
DATA = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)

# Strings that YAML 1.1, YAML 1.2 or Go's reader of both would take for something else when they stand without quotes.
AMBIGUOUS = [
    "y", "N", "yes", "off", "True", "null", "~", "1e3", "0o17", "0x1f", "1_000", "12:34:56",
    "2024-01-01", ".inf", "-", "#a", "&a", "*a", "!a", "@a", "`a", "%a", "=", "<<", "a:", "[a]", "{a}",
    "52:54:00:00:00:11", "---", "...", "- a", "a: b", "a #b", "? a", "", " a", "a ",
]  # fmt: skip


@given(DATA)
def test_yaml_comes_back_as_it_was(data: object) -> None:
    text = dump_yaml(data)  # type: ignore[arg-type]  # Hypothesis cannot spell the recursive type
    assert yaml.load(text, yaml.CSafeLoader) == data
    assert yaml.safe_load(text) == data


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_a_string_that_looks_like_something_else_is_quoted(text: str) -> None:
    value = dump_yaml({"key": text}).removeprefix("key: ").rstrip("\n")
    assert (value[0], value[-1]) in {("'", "'"), ('"', '"')}
    assert yaml.safe_load(f"key: {value}") == {"key": text}


@pytest.mark.parametrize(
    "text", ["registry.k8s.io/pause:3.9", "/var/lib/etcd", "node-1", "https://10.0.0.1:8443", "ssh-ed25519 AAAA"]
)
def test_an_everyday_string_stands_without_quotes(text: str) -> None:
    assert dump_yaml({"key": text}) == f"key: {text}\n"


def test_text_of_several_lines_is_a_literal_block() -> None:
    script = "#!/bin/sh\nset -eu\n\n  echo 'it''s' \"here\" \\\n"
    assert dump_yaml({"content": script}) == ("content: |\n  #!/bin/sh\n  set -eu\n\n    echo 'it''s' \"here\" \\\n")


def test_long_lines_are_not_folded_and_no_document_end_is_written() -> None:
    assert dump_yaml(["word " * 500 + "end"]).count("\n") == 1
    assert "..." not in dump_yaml({"a": "x\n\n\n"})


def test_equal_parts_are_written_out_without_anchors() -> None:
    part = {"a": ["b"]}
    assert dump_yaml({"x": part, "y": part}) == "x:\n  a:\n  - b\n'y':\n  a:\n  - b\n"


def test_documents_are_separated() -> None:
    assert list(yaml.safe_load_all(dump_yaml_documents([{"a": 1}, {"b": 2}]))) == [{"a": 1}, {"b": 2}]


def test_what_is_no_data_is_refused() -> None:
    with pytest.raises(TypeError, match="Secret cannot be dumped"):
        dump_yaml({"password": Secret("sesame")})  # type: ignore[dict-item]  # this is the point


def test_subclasses_of_str_and_frozen_maps_are_data() -> None:
    roles: dict[str, Data] = {NodeName("m1"): Role.MASTER}
    assert dump_yaml(FrozenMap(roles)) == "m1: master\n"


def test_json_is_sorted_and_two_levels_are_laid_out_by_lines() -> None:
    text = dump_json({"b": {"y": {"k": [1], "a": None}, "x": []}, "a": "ü"})
    assert text == '{\n  "a": "ü",\n  "b": {\n    "x": [],\n    "y": {"a": null, "k": [1]}\n  }\n}\n'


@given(st.dictionaries(st.text(), DATA))
def test_json_comes_back_as_it_was(data: dict[str, object]) -> None:
    assert json.loads(dump_json(data)) == data  # type: ignore[arg-type]  # Hypothesis cannot spell the recursive type
