"""Knows how data becomes YAML and JSON text: the only dumper, the same bytes for the same data everywhere.

YAML is read by cloud-init and netplan (YAML 1.1, libyaml) and by Kubernetes (a mixture of 1.1 and 1.2, in Go). A string
is written without quotes only where all of them agree that it is a string.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
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
_MAPPING = yaml.MappingStartEvent(None, None, True, flow_style=False), yaml.MappingEndEvent()
_SEQUENCE = yaml.SequenceStartEvent(None, None, True, flow_style=False), yaml.SequenceEndEvent()


def dump_yaml(data: Data) -> str:
    """One YAML document in block style, keys in the order given, ending with a newline.

    Every scalar says itself how it is written, so PyYAML's guesses are left out. TypeError for what is no Data.
    """
    text = StringIO()
    emitter = yaml.CBaseDumper(text, allow_unicode=True, width=2**31 - 1)  # libyaml folds lines that are longer
    for begins in _BEGIN:
        emitter.emit(begins)
    _emit(emitter.emit, data)
    for ends in _END:
        emitter.emit(ends)
    return text.getvalue()


def _emit(emit: Callable[[yaml.Event], None], data: Data) -> None:
    match data:
        case str():
            emit(_text(str(data)))  # libyaml takes no subclass
        case None | bool() | int() | float():
            emit(yaml.ScalarEvent(None, None, (True, True), json.dumps(data)))
        case Mapping():
            emit(_MAPPING[0])
            for key, value in data.items():
                emit(_text(str(key)))
                _emit(emit, value)
            emit(_MAPPING[1])
        case Sequence():
            emit(_SEQUENCE[0])
            for value in data:
                _emit(emit, value)
            emit(_SEQUENCE[1])
        case _:
            raise TypeError(f"{type(data).__name__} cannot be dumped")


@lru_cache(maxsize=4096)  # keys and everyday words come again on every node
def _text(text: str) -> yaml.ScalarEvent:
    return yaml.ScalarEvent(None, None, (True, True), text, style=_style(text))


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


# One encoder for all: json.dumps makes a new one for every call that asks for anything but its defaults.
_as_json = json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=dict).encode


def dump_json(data: Data) -> str:
    """JSON with sorted keys and a final newline: two levels are laid out by lines, what is deeper stays on its line."""
    return _laid_out(data, "", 2) + "\n"


def _laid_out(data: Data, margin: str, levels: int) -> str:
    if not levels or not data or isinstance(data, str) or not isinstance(data, Mapping | Sequence):
        return _as_json(data)
    inner = margin + "  "
    if isinstance(data, Mapping):
        parts = [f"{json.dumps(key)}: {_laid_out(data[key], inner, levels - 1)}" for key in sorted(data)]
    else:
        parts = [_laid_out(value, inner, levels - 1) for value in data]
    opening, closing = "{}" if isinstance(data, Mapping) else "[]"
    return f"{opening}\n{inner}" + f",\n{inner}".join(parts) + f"\n{margin}{closing}"
