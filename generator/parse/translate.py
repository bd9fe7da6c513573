"""Knows how pydantic's errors become problems that a person can act on. It never quotes what may be a secret."""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from generator.errors import Problem
from generator.nearest import choice_hint, nearest
from generator.parse.nodes import Layout
from generator.source import SpecPath, dotted
from generator.spec import shape
from generator.value import InvalidValueError, quoted

# What people write elsewhere, and what it is here.
_KNOWN_ELSEWHERE = {
    "password": "plain passwords do not belong in a spec: hash it with `kubeseed hash-password`, write passwordHash",
    "ip": "did you mean address?",
    "hostname": "did you mean name?",
    "role": "did you mean roles? It is a list: roles: [worker]",
    "dnsDomain": "did you mean clusterDomain?",
    "kubernetesVersion": "did you mean version, under kubernetes?",
}
_KINDS = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", int: "a number", type(None): "nothing"}


def translate(error: ValidationError, layout: Layout) -> Iterator[Problem]:
    """All problems of a failed validation."""
    for detail in error.errors(include_url=False):
        path = _path(detail["loc"])
        if _is_echo(detail):
            continue
        if detail["loc"][-1] == "[key]":
            yield layout.key_problem(path, *_told(detail, path))
        elif detail["type"] == "extra_forbidden":
            yield layout.key_problem(path, f"unknown key {quoted(str(path[-1]))}", _key_hint(path))
        elif detail["type"] == "missing":
            yield layout.problem(path, "this key is required", _description(path))
        else:
            yield layout.problem(path, *_told(detail, path))


def _is_echo(detail: ErrorDetails) -> bool:
    """A list is called too short once its items are wrong; the items have been told already."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail.get("ctx", {})["min_length"]


def _path(location: tuple[int | str, ...]) -> SpecPath:
    """pydantic's location as a path in the YAML: without the marks it adds for keys of a map."""
    return tuple(step for step in location if step != "[key]")


def _key_hint(path: SpecPath) -> str:
    key, parent = str(path[-1]), shape.at(path[:-1])
    allowed = tuple(shape.fields(parent.section)) if parent and parent.section else ()
    if key in _KNOWN_ELSEWHERE:
        return _KNOWN_ELSEWHERE[key]
    if near := nearest(key, allowed):
        return f"did you mean {near}?"
    elsewhere = [dotted(place) for place, _ in shape.walk() if place[-1] == key]
    moved = f"the spec has it as {elsewhere[0]}; " if len(elsewhere) == 1 else ""
    return f"{moved}allowed here: {', '.join(allowed)}"


def _description(path: SpecPath) -> str:
    found = shape.at(path)
    return (found.field.description or "") if found and found.field else ""


def _told(detail: ErrorDetails, path: SpecPath) -> tuple[str, str]:
    """Message and hint of an error that is neither an unknown nor a missing key."""
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, InvalidValueError):
        return str(cause), cause.hint
    if detail["type"] in ("enum", "literal_error"):
        return _choice(detail["input"], path)
    if detail["type"] in _WANTED:
        return _wrong_kind(detail["input"], path, *_WANTED[detail["type"]])
    if detail["type"] in _BOUNDS:
        return _BOUNDS[detail["type"]](detail.get("ctx", {})), _description(path)
    return detail["msg"], _description(path)


def _choice(given: object, path: SpecPath) -> tuple[str, str]:
    found = shape.at(path)
    allowed = _words(found.kind) if found else ()
    shown = quoted(given) if isinstance(given, str) else str(given) if type(given) is int else _kind(given)
    return f"{shown} is not allowed here", choice_hint(str(given), allowed)


def _words(kind: Any) -> tuple[str, ...]:
    if get_origin(kind) is Literal:
        return tuple(map(str, get_args(kind)))
    return tuple(word or '""' for word in kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else ()


def _kind(given: object) -> str:
    return _KINDS.get(type(given), "something else")


_WANTED: Mapping[str, tuple[str, str]] = {
    "bool_type": ("true or false", "write true or false, in lower case and without quotes"),
    "int_type": ("a whole number", "write the number without quotes"),
    "string_type": ("text", "write one value, in quotes when in doubt"),
    "tuple_type": ("a list", "write [a, b], or one item per line after '- '"),
    "mapping_type": ("a mapping", "write 'key: value' lines, indented below this key"),
    "dict_type": ("a mapping", "write 'key: value' lines, indented below this key"),
    "model_type": ("a mapping", "write 'key: value' lines, indented below this key"),
}


def _wrong_kind(given: object, path: SpecPath, wanted: str, hint: str) -> tuple[str, str]:
    if given is not None:
        return f"{wanted} is wanted here, not {_kind(given)}", hint
    found = shape.at(path)
    instead = (
        "remove the key to get its default, or " if found and found.field and not found.field.is_required() else ""
    )
    return f"{wanted} is wanted here, but nothing is written", f"{instead}{hint}"


_BOUNDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than_equal": lambda context: f"the number is too small; the least is {context['ge']}",
    "less_than_equal": lambda context: f"the number is too large; the most is {context['le']}",
    "too_short": lambda context: f"at least {context['min_length']} is needed",
}
