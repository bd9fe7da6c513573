"""Knows how data becomes YAML and JSON text: the only dumper, the same bytes for the same data everywhere.

YAML is read by cloud-init and netplan (YAML 1.1, libyaml) and by Kubernetes (a mixture of 1.1 and 1.2, in Go). A string
is written without quotes only where all of them agree that it is a string.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import yaml

from generator.spec.frozenmap import FrozenMap

Data: TypeAlias = "str | int | float | bool | Mapping[str, Data] | Sequence[Data] | None"

# Starts with a letter or a slash, so it is no number, date or indicator in any YAML; a colon inside is no mapping.
_PLAIN = re.compile(r"[A-Za-z/](?:[A-Za-z0-9_./@%+=,-]|:(?=[A-Za-z0-9_/])| (?=[A-Za-z0-9_/.-]))*", re.ASCII)
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})


class _Dumper(yaml.CSafeDumper):
    """libyaml's emitter: no anchors, literal blocks for text of several lines, quotes where readers could disagree."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_str(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # libyaml takes exact strings only; `str` unwraps the subclasses of generator.value and enumerations.
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style=_style(text))


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


def _represent_mapping(dumper: _Dumper, mapping: Mapping[str, Data]) -> yaml.MappingNode:
    return dumper.represent_dict(mapping.items())


_Dumper.add_representer(str, _represent_str)
_Dumper.add_multi_representer(str, _represent_str)  # the values of generator.value, enumerations of strings
_Dumper.add_representer(FrozenMap, _represent_mapping)
_Dumper.add_representer(tuple, yaml.representer.SafeRepresenter.represent_list)


def dump_yaml(data: Data) -> str:
    """One YAML document in block style, keys in the order given, ending with a newline."""
    return yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=2**31 - 1
    )


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
