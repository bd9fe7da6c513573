"""Knows how data becomes YAML and JSON text: the only dumper, the same bytes for the same data everywhere.

YAML is read by cloud-init and netplan (YAML 1.1, libyaml) and by Kubernetes (a mixture of 1.1 and 1.2, in Go). A string
is written without quotes only where all of them agree that it is a string.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from io import StringIO
from typing import TypeAlias

import yaml

Data: TypeAlias = "str | int | float | bool | Mapping[str, Data] | Sequence[Data] | None"

# Starts with a letter or a slash, so it is no number, date or indicator in any YAML; a colon inside is no mapping.
_PLAIN = re.compile(r"[A-Za-z/](?:[A-Za-z0-9_./@%+=,-]|:(?=[A-Za-z0-9_/])| (?=[A-Za-z0-9_/.-]))*", re.ASCII)
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})

_BEGIN = (yaml.StreamStartEvent(), yaml.DocumentStartEvent(explicit=False))
_END = (yaml.DocumentEndEvent(explicit=False), yaml.StreamEndEvent())


def dump_yaml(data: Data) -> str:
    """One YAML document in block style, keys in the order given, ending with a newline.

    Every scalar says itself how it is written, so PyYAML's guesses are left out. TypeError for what is no Data.
    """
    text = StringIO()
    emitter = yaml.CBaseDumper(text, allow_unicode=True, width=2**31 - 1)  # libyaml folds lines that are longer
    for event in (*_BEGIN, *_events(data), *_END):
        emitter.emit(event)
    return text.getvalue()


def _events(data: Data) -> Iterator[yaml.Event]:
    match data:
        case str():
            yield yaml.ScalarEvent(None, None, (True, True), str(data), style=_style(data))  # libyaml takes no subclass
        case None | bool() | int() | float():
            yield yaml.ScalarEvent(None, None, (True, True), json.dumps(data))
        case Mapping():
            yield yaml.MappingStartEvent(None, None, True, flow_style=False)
            for key, value in data.items():
                yield from _events(key)
                yield from _events(value)
            yield yaml.MappingEndEvent()
        case Sequence():
            yield yaml.SequenceStartEvent(None, None, True, flow_style=False)
            for value in data:
                yield from _events(value)
            yield yaml.SequenceEndEvent()
        case _:
            raise TypeError(f"{type(data).__name__} cannot be dumped")


@lru_cache(maxsize=4096)  # keys and everyday words come again on every node
def _style(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return ""
    lines = text.removesuffix("\n").split("\n")
    if not all(map(str.isprintable, lines)):
        return '"'
    if "\n" not in text:
        return "'"
    # A literal block that opens with a blank or ends with empty lines needs indicators that few people can read.
    return '"' if text[0] in " \n" or text.endswith("\n\n") else "|"


def dump_yaml_documents(documents: Iterable[Data]) -> str:
    """Several YAML documents, each opened by `---`."""
    return "".join(f"---\n{dump_yaml(document)}" for document in documents)


def dump_json(data: Data) -> str:
    """JSON with sorted keys and a final newline: two levels are laid out by lines, what is deeper stays on its line."""
    return _laid_out(data, "", 2) + "\n"


def _laid_out(data: Data, margin: str, levels: int) -> str:
    if not levels or not data or isinstance(data, str) or not isinstance(data, Mapping | Sequence):
        return json.dumps(data, sort_keys=True, ensure_ascii=False, default=dict)
    inner = margin + "  "
    if isinstance(data, Mapping):
        parts = [f"{json.dumps(key)}: {_laid_out(data[key], inner, levels - 1)}" for key in sorted(data)]
    else:
        parts = [_laid_out(value, inner, levels - 1) for value in data]
    opening, closing = "{}" if isinstance(data, Mapping) else "[]"
    return f"{opening}\n{inner}" + f",\n{inner}".join(parts) + f"\n{margin}{closing}"
