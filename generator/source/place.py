"""Knows places in a text: positions, the path that leads to a value, and the tree of places beside the data."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

SpecPath = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SECRET_WORDS = ("passw", "passph", "token", "hash", "secretkey")


class Position(NamedTuple):
    """Line and column, both counted from 0."""

    line: int
    column: int


class Span(NamedTuple):
    """The text from `start` up to and without `end`."""

    start: Position
    end: Position


class Place(NamedTuple):
    """Where a value begins, where its key does (the same for list items), and the places of what it holds."""

    value: Position
    key: Position
    items: "Mapping[str | int, Place]" = MappingProxyType({})

    def find(self, path: SpecPath) -> "tuple[Place, bool]":
        """The deepest place on the way along `path`, and whether that is the whole way."""
        place = self
        for step in path:
            if step not in place.items:
                return place, False
            place = place.items[step]
        return place, True


def dotted(path: SpecPath) -> str:
    """The path as people write it: `nodes[3].labels["example.org/zone"]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def is_secret_key(key: str) -> bool:
    """Whether a value under this key, rightly or wrongly named, may be a secret and is never shown."""
    lower = key.lower()
    return lower == "secret" or any(word in lower for word in _SECRET_WORDS)
