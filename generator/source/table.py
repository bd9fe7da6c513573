"""Knows how a CSV file becomes a Source: a mapping from column to text for each line, and where each of them stood."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from generator.errors import SpecError
from generator.source.excerpt import by_line, split_lines
from generator.source.place import Place, Position, Span, is_secret_key
from generator.source.read import Source, decoded, digest_of, read_bytes
from generator.source.tree import Fault
from generator.value import quoted

# One field and what ends it (RFC 4180, within one line); blanks around a field do not count.
_FIELD = re.compile(r'[ \t]*(?:"((?:[^"]|"")*)"|([^",]*))[ \t]*(,|$)')

# The row of the columns' names, beside those that are numbered.
HEADER = "columns"


class Cell(NamedTuple):
    """A field and where its text begins."""

    text: str
    at: Position


def read_table(path: Path) -> Source:
    """The table in a file. LocalError when it cannot be read, SpecError when it is not one."""
    return parse_table(read_bytes(path, "table"), str(path))


def parse_table(content: bytes, file: str) -> Source:
    """The table in `content`: the first line names the columns; lines that are empty or begin with # do not count."""
    lines = split_lines(decoded(content, file, "a CSV file"))
    faults: list[Fault] = []
    rows = list(_rows(lines, faults))
    if not rows and not faults:
        raise SpecError.because(
            "the table is empty", file=file, hint="name the columns in the first line: name,address"
        )
    header, *rest = rows or [[]]
    faults += _header_faults(header) + [fault for row in rest for fault in _width_faults(row, len(header))]
    source = _source(file, lines, header, rest, digest_of(content))
    if faults:
        raise SpecError(source.fault_problem(fault) for fault in faults)
    return source


def _rows(lines: Sequence[str], faults: list[Fault]) -> Iterator[list[Cell]]:
    for number, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith("#"):
            row = _cells(line, number)
            if row is None:
                hint = 'a field with a comma or a quote is written "like, this", a quote in it twice'
                faults.append(Fault(Position(number, max(line.find('"'), 0)), "a quote is out of place", hint))
            else:
                yield row


def _cells(line: str, number: int) -> list[Cell] | None:
    """The fields of a line; None where a quote is left open or stands inside of a plain field."""
    cells: list[Cell] = []
    at = 0
    while found := _FIELD.match(line, at):
        group = 1 if found[1] is not None else 2
        text = found[1].replace('""', '"') if group == 1 else found[2].rstrip()
        cells.append(Cell(text, Position(number, found.start(group))))
        at = found.end()
        if not found[3]:
            return cells
    return None


def _header_faults(header: Sequence[Cell]) -> list[Fault]:
    names = [cell.text for cell in header]
    if len(header) == 1 and ";" in names[0]:
        return [Fault(header[0].at, "fields are separated by commas, not ';'", "export the table with commas")]
    twice = [cell for at, cell in enumerate(header) if cell.text in names[:at]]
    faults = [Fault(cell.at, f"the column {quoted(cell.text)} is there twice", "keep one of the two") for cell in twice]
    unnamed = [cell for cell in header if not cell.text]
    return faults + [Fault(cell.at, "this column has no name", "name it, or remove it") for cell in unnamed]


def _width_faults(row: Sequence[Cell], wanted: int) -> list[Fault]:
    if not wanted or len(row) == wanted:
        return []
    at = row[wanted].at if len(row) > wanted else row[0].at
    hint = "write as many as there are columns; a field may be empty"
    return [Fault(at, f"the line has {len(row)} fields, the first line names {wanted} columns", hint)]


def _source(
    file: str, lines: Sequence[str], header: Sequence[Cell], rows: Sequence[Sequence[Cell]], digest: str
) -> Source:
    names = [cell.text for cell in header]
    data = [{name: cell.text for name, cell in zip(names, row, strict=False)} for row in rows]
    places: dict[str | int, Place] = {number: _place(names, row) for number, row in enumerate(rows)}
    places[HEADER] = _place(names, header)
    start = Position(0, 0)
    secret = [at for at, name in enumerate(names) if is_secret_key(name)]
    spans = [Span(row[at].at, Position(row[at].at.line + 1, 0)) for row in rows for at in secret if at < len(row)]
    return Source(file, tuple(lines), data, Place(start, start, places), by_line(spans), digest)


def _place(names: Sequence[str], row: Sequence[Cell]) -> Place:
    cells: dict[str | int, Place] = {name: Place(cell.at, cell.at) for name, cell in zip(names, row, strict=False)}
    start = row[0].at if row else Position(0, 0)
    return Place(start, start, cells)
