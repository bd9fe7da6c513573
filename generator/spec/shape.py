"""Knows the shape of the spec: which keys a path may go on with, and what the model says of each."""

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from generator.spec.cluster import Cluster
from generator.spec.field import Section

Step = str | int


class Shape(NamedTuple):
    """What stands at a path: its type without `null` and constraints, and the field that declares it, if one does."""

    kind: Any
    field: FieldInfo | None = None

    @property
    def section(self) -> type[Section] | None:
        """The section whose keys may follow, looking through lists and maps: `nodes` goes on with a node's keys."""
        kind = self.kind
        while item := _item(kind):
            kind = item
        return kind if isinstance(kind, type) and issubclass(kind, Section) else None

    @property
    def is_list(self) -> bool:
        return get_origin(self.kind) is tuple


ROOT = Shape(Cluster)


def bare(annotation: Any) -> Any:
    """The type without Annotated and without `| None`."""
    if get_origin(annotation) is Annotated:
        return bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        rest = [part for part in get_args(annotation) if part is not type(None)]
        return bare(rest[0]) if len(rest) == 1 else annotation
    return annotation


def _item(kind: Any) -> Any:
    """The type of a list's items or of a map's values; None for anything else."""
    if get_origin(kind) is tuple:
        return bare(get_args(kind)[0])
    if get_origin(kind) is Mapping:
        return bare(get_args(kind)[1])
    return None


def fields(section: type[Section]) -> dict[str, FieldInfo]:
    """The fields of a section by their YAML keys, in the order of the model."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def step(shape: Shape, name: Step) -> Shape | None:
    """The shape one step further; None where the spec has no such place."""
    if item := _item(shape.kind):
        return Shape(item)
    if isinstance(shape.kind, type) and issubclass(shape.kind, Section) and isinstance(name, str):
        field = fields(shape.kind).get(name)
        return Shape(bare(field.annotation), field) if field else None
    return None


def at(path: tuple[Step, ...]) -> Shape | None:
    """The shape at a path such as `("nodes", 3, "mac")`."""
    shape: Shape | None = ROOT
    for name in path:
        shape = step(shape, name) if shape else None
    return shape


def walk(section: type[Section] = Cluster, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Shape]]:
    """Every key of the spec with its path, depth first; lists and maps are looked through."""
    for key, field in fields(section).items():
        shape = Shape(bare(field.annotation), field)
        yield (*above, key), shape
        if shape.section:
            yield from walk(shape.section, (*above, key))
