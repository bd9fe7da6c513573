"""Knows how to say in words what a key of the spec takes and what it is when nobody writes it."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from generator.spec.field import Parsed, Section
from generator.spec.host import HostSettings
from generator.spec.node import Node

_NAMES: Mapping[Any, str] = {bool: "true or false", int: "number", str: "text"}


def type_words(field: FieldInfo) -> str:
    """What the key takes: `list of addresses`, `one of nginx, haproxy, envoy`, `number, 1 to 65535`."""
    return _named(field.metadata) or _words(field.annotation) + _bounds(field.metadata)


def _named(marks: Iterable[Any]) -> str:
    return next((mark.what for mark in marks if isinstance(mark, Parsed)), "")


def _words(kind: Any) -> str:
    if get_origin(kind) is Annotated:
        inner, *marks = get_args(kind)
        return _named(marks) or _words(inner)
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_words(part) for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is tuple:
        return f"list: {_words(get_args(kind)[0])}"
    if get_origin(kind) is Mapping:
        return f"map: {' to '.join(_words(part) for part in get_args(kind))}"
    if get_origin(kind) is Literal:
        return _choice([str(word) for word in get_args(kind)])
    return _NAMES.get(kind) or (_choice(list(kind)) if issubclass(kind, StrEnum) else "section")


def _choice(words: list[str]) -> str:
    written = ", ".join(word or '""' for word in words)
    return f"one of {written}" if len(words) > 1 else written


def _bounds(marks: Iterable[Any]) -> str:
    least = next((mark.ge for mark in marks if isinstance(mark, Ge)), None)
    most = next((mark.le for mark in marks if isinstance(mark, Le)), None)
    if least is not None and most is not None:
        return f", {least} to {most}"
    return f", at least {least}" if least is not None else ""


def inherits(section: type[Section], field: FieldInfo) -> bool:
    """Whether a node takes the key from `defaults` when it does not say it."""
    return section is Node and any(field.alias == other.alias for other in HostSettings.model_fields.values())


def default_words(section: type[Section], field: FieldInfo) -> str:
    """What the key is when nobody writes it, as YAML; `required`; nothing for a section, whose keys have their own."""
    if field.is_required():
        return "required"
    if inherits(section, field):
        return f"defaults.{field.alias}"
    if isinstance(field.default, Section) or field.default is PydanticUndefined:
        return ""
    return as_yaml(field.default)


def as_yaml(default: Any) -> str:
    """A default as one would write it in the spec, in flow style."""
    if default is None:
        return "null"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return f"[{', '.join(as_yaml(item) for item in default)}]"
    if isinstance(default, Mapping):
        return f"{{{', '.join(f'{key}: {as_yaml(item)}' for key, item in default.items())}}}"
    return str(default) or '""'
