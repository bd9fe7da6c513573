"""Knows how YAML becomes plain data with places: it reads libyaml's events, keeps no other trace of the document.

Plain scalars follow the YAML 1.2 core schema without its surprises: only `true`, `false`, `null`, `~`, nothing and
canonical decimal integers are more than text, so `1.30`, `no`, `0012` and `52:54:00:00:00:11` stay what was written.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from generator.source.place import Place, Position, Span, SpecPath, is_secret_key
from generator.value import quoted

MAX_DEPTH = 32
MAX_VALUES = 2_000_000

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_WORDS: dict[str, object] = {"true": True, "false": False, "null": None, "~": None, "": None}


class Fault(NamedTuple):
    """Something in the text that is not a spec's YAML."""

    position: Position
    message: str
    hint: str = ""
    path: SpecPath = ()


class FaultError(Exception):
    """A fault after which reading on makes no sense."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class Value(NamedTuple):
    """A value, where it stands, and how many values it is when aliases are written out."""

    data: object
    place: Place
    size: int = 1


def _at(mark: object) -> Position:
    return Position(int(getattr(mark, "line", 0)), int(getattr(mark, "column", 0)))


def _stop(event: Event, message: str, hint: str = "") -> FaultError:
    return FaultError(Fault(_at(event.start_mark), message, hint))


class TreeReader:
    """Reads one document. `faults`, after which reading goes on, and `secrets` fill up on the way."""

    def __init__(self, text: str) -> None:
        self._loader = yaml.CSafeLoader(text)
        self._anchors: dict[str, Value] = {}
        self._depth = 0
        self._secret_depth = 0
        self._values = 0
        self._path: list[str | int] = []
        self._read: dict[type[Event], Callable[..., Value]] = {
            ScalarEvent: self._scalar,
            MappingStartEvent: self._mapping,
            SequenceStartEvent: self._sequence,
            AliasEvent: self._alias,
        }
        self.faults: list[Fault] = []
        self.secrets: list[Span] = []

    def document(self) -> Value:
        """The one document of the text. Raises FaultError, and yaml.YAMLError where the text is not YAML."""
        self._expect(StreamStartEvent)
        if isinstance(event := self._next(), StreamEndEvent):
            raise _stop(event, "the file is empty", "start with `kubeseed new`")
        value = self._value(self._next(), None)
        self._expect(DocumentEndEvent)
        if isinstance(event := self._next(), DocumentStartEvent):
            raise _stop(event, "a second document begins here", "a spec is one document: remove the line ---")
        return value

    def _next(self) -> Event:
        event = self._loader.get_event()
        assert event is not None  # noqa: S101 - the parser yields StreamEnd before it runs dry, and nobody reads on after it
        return event

    def _expect(self, kind: type[Event]) -> None:
        event = self._next()
        if not isinstance(event, kind):
            raise _stop(event, f"{type(event).__name__} is out of place")

    def _value(self, event: Event, key: Position | None) -> Value:
        self._values += 1
        if self._depth >= MAX_DEPTH:
            raise _stop(event, f"values are nested deeper than {MAX_DEPTH} levels")
        tag = getattr(event, "tag", None)
        if tag not in (None, "!", "tag:yaml.org,2002:str"):
            raise _stop(event, f"the tag {quoted(tag)} is not supported", "write plain values without tags")
        self._depth += 1
        value = self._read[type(event)](event, key or _at(event.start_mark))
        self._depth -= 1
        self._remember(event, value)
        return value

    def _remember(self, event: Event, value: Value) -> None:
        anchor = getattr(event, "anchor", None)
        if anchor and not isinstance(event, AliasEvent):
            self._anchors[anchor] = value

    def _alias(self, event: AliasEvent, key: Position) -> Value:
        if (known := self._anchors.get(str(event.anchor))) is None:
            raise _stop(event, f"the alias *{event.anchor} points to nothing that is complete before it")
        self._values += known.size
        if self._values > MAX_VALUES:
            raise _stop(event, f"with all aliases written out the spec has more than {MAX_VALUES} values")
        return Value(known.data, Place(known.place.value, key, known.place.items), known.size)

    def _scalar(self, event: ScalarEvent, key: Position) -> Value:
        start = _at(event.start_mark)
        if self._secret_depth:
            self.secrets.append(Span(start, _at(event.end_mark)))
        data = self._resolved(event.value) if event.implicit[0] else event.value
        return Value(data, Place(start, key))

    @staticmethod
    def _resolved(text: str) -> object:
        return int(text) if _INTEGER.fullmatch(text) else _WORDS.get(text, text)

    def _sequence(self, event: SequenceStartEvent, key: Position) -> Value:
        data: list[object] = []
        items: dict[str | int, Place] = {}
        size = 1
        while not isinstance(item := self._next(), SequenceEndEvent):
            self._path.append(len(data))
            value = self._value(item, None)
            self._path.pop()
            items[len(data)] = value.place
            data.append(value.data)
            size += value.size
        return Value(data, Place(_at(event.start_mark), key, items), size)

    def _mapping(self, event: MappingStartEvent, key: Position) -> Value:
        data: dict[str, object] = {}
        items: dict[str | int, Place] = {}
        size = 1
        while not isinstance(found := self._next(), MappingEndEvent):
            name = self._key(found, items)
            value = self._under(name, self._next(), _at(found.start_mark))
            size += value.size
            if name not in data:
                data[name], items[name] = value.data, value.place
        return Value(data, Place(_at(event.start_mark), key, items), size)

    def _key(self, event: Event, items: dict[str | int, Place]) -> str:
        if not isinstance(event, ScalarEvent):
            raise _stop(event, "a key has to be a single word", "put a value with { or * in quotes")
        if event.value == "<<":
            raise _stop(event, "merge keys (<<) are not supported", "what all nodes share belongs under `defaults`")
        if first := items.get(event.value):
            self.faults.append(
                Fault(
                    _at(event.start_mark),
                    f"the key {quoted(event.value)} is already on line {first.key.line + 1}",
                    "keep one of the two",
                    (*self._path, str(event.value)),
                )
            )
        return str(event.value)

    def _under(self, key: str, event: Event, position: Position) -> Value:
        secret = is_secret_key(key)
        self._secret_depth += secret
        self._path.append(key)
        value = self._value(event, position)
        self._path.pop()
        self._secret_depth -= secret
        return value
