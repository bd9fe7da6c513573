"""Knows what a column of a table of nodes says: a key of a node, `mac`, `network.gateway`, `labels.zone`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_origin

from generator.nearest import choice_hint
from generator.spec import shape
from generator.spec.node import Node
from generator.spec.shape import Shape
from generator.value import InvalidValueError, quoted


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name, the path that it fills below a node, and whether it is a list, a number or a flag."""

    name: str
    path: tuple[str, ...]
    kind: Any

    def fill(self, node: dict[str, Any], text: str) -> None:
        """Puts the field into the node; an empty one says nothing. Sections of the node are copied, not changed."""
        if not text:
            return
        *above, last = self.path
        for step in above:
            below = node.get(step)
            node[step] = dict(below) if isinstance(below, dict) else {}
            node = node[step]
        node[last] = self._value(text)

    def _value(self, text: str) -> object:
        """As YAML reads it where the model wants a number or a flag; everything else stays text."""
        if get_origin(self.kind) is tuple:
            return text.split()
        if self.kind is bool:
            return {"true": True, "false": False}.get(text, text)
        return int(text) if self.kind is int and text.isascii() and text.isdecimal() else text


def parse_column(name: str) -> Column:
    """The column of this name. InvalidValueError when a node has no such key, or one that no field can hold."""
    found = Shape(Node)
    path: tuple[str, ...] = ()
    steps = name.split(".")
    while steps:
        if get_origin(found.kind) is Mapping:
            steps = [".".join(steps)]
        below = shape.step(found, steps[0]) if steps[0] != "from" else None
        if below is None:
            keys = shape.fields(found.section) if found.section else {}
            allowed = [key for key in keys if key != "from"]
            raise InvalidValueError(f"a node has no key {quoted(name)}", choice_hint(steps[0], allowed))
        found, path = below, (*path, steps.pop(0))
    _check_single(name, found)
    return Column(name, path, found.kind)


def _check_single(name: str, found: Shape) -> None:
    is_list = get_origin(found.kind) is tuple
    if found.section and is_list:
        raise InvalidValueError(
            f"{quoted(name)} is a list of sections, which no field can hold", "write it in the entry"
        )
    if found.section or get_origin(found.kind) is Mapping:
        keys = list(shape.fields(found.section))[:3] if found.section else ["zone"]
        raise InvalidValueError(
            f"{quoted(name)} has keys of its own", f"name one of them: {', '.join(f'{name}.{key}' for key in keys)}"
        )
