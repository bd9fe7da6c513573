"""Knows how to show the lines around a place with a caret under it, and hides what may be a secret."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from generator.source.place import Position, Span, is_secret_key

CONTEXT = 2
WIDTH = 100
# What libyaml counts as the end of a line.
_LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
# Secrets by their looks, wherever they stand: crypt(5) hashes, and user and password in a URL.
_SECRET_LOOKS = re.compile(r"\$(?:y|gy|7|2[aby]|6|5|1)\$\S+|(?<=//)[^/\s@]+(?=@)")
_SECRET_KEY = re.compile(r"""(?P<key>[\w-]+)["']?\s*:(?P<value>.*)""")


def split_lines(text: str) -> tuple[str, ...]:
    """The lines of the text, counted as libyaml counts them."""
    return tuple(_LINE_END.split(text))


def by_line(spans: Iterable[Span]) -> Mapping[int, Sequence[Span]]:
    """The spans that touch a line, for every line that any touches."""
    found: dict[int, list[Span]] = {}
    for span in spans:
        for line in range(span.start.line, span.end.line + 1):
            found.setdefault(line, []).append(span)
    return found


def excerpt(lines: Sequence[str], at: Position, secrets: Mapping[int, Sequence[Span]]) -> tuple[str, ...]:
    """The line of `at` with a caret below and up to two lines above, as they may be shown to anyone."""
    first = max(0, at.line - CONTEXT)
    numbers = range(first, min(at.line + 1, len(lines)))
    shown = [_starred(lines[number], number, secrets.get(number, ())) for number in numbers]
    cuts = [_cut(line, at.column if number == at.line else 0) for number, line in zip(numbers, shown, strict=True)]
    rows = [f"{number + 1:>6} | {text}".rstrip() for number, (text, _) in zip(numbers, cuts, strict=True)]
    caret = cuts[-1][1] if cuts else 0
    return (*rows, f"{'':>6} | {' ' * caret}^")


def _cut(line: str, column: int) -> tuple[str, int]:
    """At most WIDTH characters of a line with `column` among them, and where that column then is on a terminal."""
    shift = 0 if column < WIDTH * 3 // 4 else column - WIDTH // 2
    head, tail = "…" * (shift > 0), "…" * (len(line) > shift + WIDTH)
    text = _plain(line[shift : shift + WIDTH])
    return f"{head}{text}{tail}", len(head) + _columns(text[: column - shift])


def suspects(lines: Sequence[str]) -> tuple[Span, ...]:
    """What may be a secret in text that the parser gave up on: what follows such a key, on the next line too."""
    spans: list[Span] = []
    for number, line in enumerate(lines):
        for found in _SECRET_KEY.finditer(line):
            if is_secret_key(found["key"]):
                lasts = number + (1 if found["value"].strip(" |>+-") else 2)
                spans.append(Span(Position(number, found.start("value")), Position(lasts, 0)))
    return tuple(spans)


def _starred(line: str, number: int, secrets: Iterable[Span]) -> str:
    """The line with every secret in it replaced by stars of the same length, so that columns stay true."""
    for start, end in secrets:
        begin = start.column if number == start.line else 0
        stop = end.column if number == end.line else len(line)
        line = line[:begin] + "*" * (stop - begin) + line[stop:]
    return _SECRET_LOOKS.sub(lambda found: "*" * len(found[0]), line)


def _plain(text: str) -> str:
    """Without control characters: a spec must not be able to drive the reader's terminal."""
    return "".join(" " if char == "\t" else char if char.isprintable() else "�" for char in text)


def _columns(text: str) -> int:
    """Columns on a terminal: East Asian wide characters take two (Unicode TR 11)."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
