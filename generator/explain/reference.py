"""Knows docs/spec.md: the reference of every key, written from the models."""

from collections.abc import Iterator

from generator.check.unsupported import UNSUPPORTED
from generator.explain.wording import default_words, inherits, type_words
from generator.spec import shape
from generator.spec.cluster import Cluster
from generator.spec.field import Section
from generator.spec.shape import Shape

_TOP = "The top"
_INTRODUCTION = """\
# The cluster spec

This page is written from the models by `make golden`; do not edit it. `kubeseed explain PATH` shows the same at the
command line, `kubeseed schema` as JSON Schema: save it as `cluster.schema.json` and begin your spec with
`# yaml-language-server: $schema=cluster.schema.json` to get completion and checks in your editor.

Hundreds of nodes are a few lines: [nodes.md](nodes.md).

A spec is one YAML document, UTF-8, at most 20 MB. Plain words follow YAML 1.2 without its surprises: only `true`,
`false`, `null`, `~` and whole decimal numbers are more than text, so `1.30`, `no` and `52:54:00:00:00:11` need no
quotes. Unknown keys, duplicate keys, tags and merge keys (`<<`) are refused; aliases (`*name`) are allowed. Everything
that is wrong with keys and values is told at once; then, in a spec that reads well, everything that breaks a rule.

Durations are written `40s`, `1h30m`, `3650d`; quantities as in Kubernetes, `100m`, `256Mi`; networks with their prefix,
`10.244.0.0/18`; taints as for kubectl, `key=value:NoSchedule`. No URL may carry a password.
"""


def reference() -> str:
    """The text of docs/spec.md."""
    parts = [_INTRODUCTION, *_section(_TOP, Cluster)]
    for path, found in shape.walk():
        if found.section and not _is_inherited(path):
            parts += _section(".".join(path), found.section, _told(found))
    return "\n".join([*parts, *_unsupported()])


def _unsupported() -> Iterator[str]:
    yield "## Not yet supported\n"
    yield "The format has a place for these; this release refuses them rather than ignore them.\n"
    yield from (f"- `{entry.name}`: {entry.instead}" for entry in UNSUPPORTED)
    yield ""


def _told(found: Shape) -> str:
    description = found.field.description or "" if found.field else ""
    return f"{description} Each item of the list:" if found.is_list else description


def _is_inherited(path: tuple[str, ...]) -> bool:
    """Whether `defaults` shows the section already."""
    return path[0] == "nodes" and len(path) > 1


def _section(title: str, section: type[Section], description: str = "") -> Iterator[str]:
    yield f"## {title}\n"
    yield f"{description or section.__doc__}\n"
    yield "| key | takes | default | |"
    yield "|---|---|---|---|"
    yield from _rows(section, title)
    yield ""


def _linked(words: str, path: str) -> str:
    """The word `section` as a link to the heading of that path, as GitHub names it."""
    anchor = path.removeprefix(f"{_TOP}.").lower().replace(".", "")
    return words.replace("section", f"[section](#{anchor})")


def _rows(section: type[Section], title: str) -> Iterator[str]:
    inherited = False
    for key, field in shape.fields(section).items():
        if inherits(section, field):
            inherited = True
            continue
        default = default_words(section, field)
        shown = default if default in ("", "required") else f"`{default}`"
        cells = (f"`{key}`", _linked(type_words(field), f"{title}.{key}"), shown, field.description or "")
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    if inherited:
        yield "| every key of `defaults` | | what `defaults` says | Sections key by key, lists whole. |"
