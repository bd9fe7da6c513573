"""Knows how a template of a line format becomes text: the one strict Jinja environment and its quoting filters.

Every value that a template prints is checked: a line break or control character is refused, so that no value can open
a line of its own. Quoting belongs to the format and is named in the template: `sh`, `ipxe`, `kickstart`, `preseed`.
"""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined

from generator.resource import data_root

# iPXE knows no quoting: `${...}` expands, the words `&&`, `||` and `;` end a command, `#` opens a comment, blanks part
# words.
_IPXE = re.compile(r"(?!;$)[A-Za-z0-9_./:@%+=,;~?&-]*", re.ASCII)

_LONG = 4096


class UnprintableValueError(ValueError):
    """A value cannot be written in this format. The message shows no value: it could be a secret."""


def sh(value: object) -> str:
    """Quotes one word for a POSIX shell (XCU 2.2.2)."""
    return "'" + one_line(value).replace("'", "'\\''") + "'"


def ipxe(value: object) -> str:
    """One word of an iPXE script; a value that iPXE would interpret is refused."""
    text = one_line(value)
    if not _IPXE.fullmatch(text) or "&&" in text:
        raise UnprintableValueError("a value for an iPXE script may hold letters, digits and _./:@%+=,;~?&- only")
    return text


def kickstart(value: object) -> str:
    """One argument of a kickstart command; pykickstart splits lines as a POSIX shell does."""
    return sh(value)


def preseed(value: object) -> str:
    """The value of a preseed line, which reaches to the end of the line as it is (debconf-set-selections(1))."""
    text = one_line(value)
    if text != text.strip() or text.endswith("\\"):
        raise UnprintableValueError("a preseed value may not begin or end with a blank or end with a backslash")
    return text


def one_line(value: object) -> str:
    """The value as text of one line without control characters."""
    text = str(value)
    if not (text.isprintable() if len(text) < _LONG else _is_printable(text)):
        raise UnprintableValueError("a value holds a line break or control character, which this format cannot carry")
    return text


@lru_cache(maxsize=8)  # files that all nodes share come encoded, as one long word
def _is_printable(text: str) -> bool:
    return text.isprintable()


def render(template: str, values: Mapping[str, object]) -> str:
    """The template `templates/<template>` with `values`; an undefined name is an error."""
    return _environment(data_root() / "templates").get_template(template).render(values)


def _finalize(value: object) -> object:
    return value if isinstance(value, Undefined) else one_line(value)


@cache
def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        finalize=_finalize,
        autoescape=False,  # noqa: S701 - no HTML here; the filters quote
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    join = environment.filters["join"]
    environment.filters = {"join": join, "sh": sh, "ipxe": ipxe, "kickstart": kickstart, "preseed": preseed}
    return environment
