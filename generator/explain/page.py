"""Knows how `kubeseed explain PATH` shows a key of the spec and what is below it."""

import re
from collections.abc import Iterator
from textwrap import fill, indent

from pydantic.fields import FieldInfo

from generator.errors import UsageError
from generator.explain.wording import default_words, inherits, type_words
from generator.nearest import choice_hint
from generator.spec import shape
from generator.spec.cluster import Cluster
from generator.spec.field import Section
from generator.spec.shape import ROOT, Shape

_WIDTH = 100


def explain(path: str = "", *, recursive: bool = False) -> str:
    """What a key means, takes and is by default, and the keys below it; UsageError when the spec has no such key.

    `path` is written with dots, `nodes.network.gateway`; indices as in `nodes[0].mac` are allowed and do not matter.
    `recursive` shows only the names and types of everything below.
    """
    found, parent = _find(path)
    head = _head(path, found, parent)
    if found.section is None:
        return head
    rows = _tree(found.section) if recursive else _rows(found.section)
    return f"{head}\nKEYS\n{''.join(rows)}"


def _steps(path: str) -> tuple[str, ...]:
    return tuple(step for step in re.sub(r"\[[^\]]*\]", "", path).split(".") if step)


def _find(path: str) -> tuple[Shape, type[Section]]:
    """The shape at a path and the section it is a key of. Lists and maps are looked through."""
    found: Shape = ROOT
    parent: type[Section] = Cluster
    gone: list[str] = []
    for name in _steps(path):
        section = found.section
        keys = shape.fields(section) if section else {}
        if section is None or name not in keys:
            hint = choice_hint(name, keys) if keys else f"nothing is below {'.'.join(gone)}"
            raise UsageError.because(f"the spec has no key {'.'.join([*gone, name])!r}", hint=hint)
        found, parent = shape.Shape(shape.bare(keys[name].annotation), keys[name]), section
        gone.append(name)
    return found, parent


def _head(path: str, found: Shape, parent: type[Section]) -> str:
    if found.field is None:
        return f"A cluster spec.\n\n{indent(Cluster.__doc__ or '', '  ')}\n"
    default = default_words(parent, found.field)
    lines = [f"{'.'.join(_steps(path))} <{type_words(found.field)}>"]
    lines += [f"default: {default}"] if default not in ("", "required") else [default] if default else []
    return "\n".join(lines) + f"\n\n{_filled(found.field, '  ')}\n"


def _filled(field: FieldInfo, margin: str) -> str:
    """The description in lines that a narrow terminal holds."""
    return fill(
        field.description or "", _WIDTH, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
    )


def _rows(section: type[Section]) -> Iterator[str]:
    for key, field in shape.fields(section).items():
        if not inherits(section, field):
            default = default_words(section, field)
            shown = f" = {default}" if default not in ("", "required") else " (required)" if default else ""
            words = type_words(field)
            yield f"  {key} <{words}>{shown}\n{_filled(field, '    ')}\n"
    if any(inherits(section, field) for field in shape.fields(section).values()):
        yield "  and every key of defaults: see `kubeseed explain defaults`\n"


def _tree(section: type[Section], depth: int = 1) -> Iterator[str]:
    for key, field in shape.fields(section).items():
        found = Shape(shape.bare(field.annotation), field)
        yield f"{'  ' * depth}{key} <{type_words(field)}>\n"
        if found.section:
            yield from _tree(found.section, depth + 1)
