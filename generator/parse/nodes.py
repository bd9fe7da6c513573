"""Knows how the entries of `nodes` become nodes, and where each came from: an entry may be a series, or bring a table.

`name: w[001-500]` with `address: 10.0.0.1-10.0.1.244` is five hundred nodes; `from: rack.csv` is one for each line of
that file, whose columns are keys of a node. What else the entry says holds for all of its nodes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, NamedTuple

from generator.errors import KubeseedError, Problem, Severity, SpecError
from generator.parse.column import Column, parse_column
from generator.source import HEADER, Source, SpecPath
from generator.value import InvalidValueError
from generator.value.series import LARGEST, SERIES, last_address

Read = Callable[[str], Source]
Entry = dict[str, Any]


class Origin(NamedTuple):
    """Where a node stands: its entry in the spec and, for one of a table, the row there."""

    entry: int
    table: Source | None = None
    row: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """A spec with one entry for each node. Problems are told at the places that a person wrote."""

    source: Source
    data: object
    origins: tuple[Origin, ...] = ()
    tables: tuple[Source, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the spec; with tables, of all files' digests."""
        if not self.tables:
            return self.source.digest
        return sha256("".join((self.source.digest, *(table.digest for table in self.tables))).encode()).hexdigest()

    def problem(self, path: SpecPath, message: str, hint: str = "", severity: Severity = Severity.ERROR) -> Problem:
        """A problem at `path`, whose nodes are numbered as in `data`."""
        origin = self._origin(path)
        if origin is None:
            return self.source.problem(path, message, hint, severity)
        cell = _cell(origin, path[2:])
        if origin.table and cell:
            return origin.table.cell_problem(cell, path[2:], message, hint, severity)
        return self.source.problem(("nodes", origin.entry, *path[2:]), message, hint, severity)

    def key_problem(self, path: SpecPath, message: str, hint: str = "") -> Problem:
        """A problem with the key at the end of `path`."""
        origin = self._origin(path)
        if origin is None:
            return self.source.key_problem(path, message, hint)
        cell = _cell(origin, path[2:])
        if origin.table and cell:
            return origin.table.cell_problem(cell, path[2:], message, hint)
        return self.source.key_problem(("nodes", origin.entry, *path[2:]), message, hint)

    def folded(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """What many nodes of one entry have in common is said once."""
        if not self.origins:
            yield from problems
            return
        alike: dict[object, list[Problem]] = {}
        for problem in problems:
            place = (problem.file, problem.line, problem.column, problem.path, problem.hint, problem.severity)
            alike.setdefault(place if problem.path.startswith("nodes[") else object(), []).append(problem)
        for first, *others in alike.values():
            more = f" (and {len(others)} more nodes of this entry)" if others else ""
            yield replace(first, message=first.message + more)

    def _origin(self, path: SpecPath) -> Origin | None:
        if self.origins and len(path) > 1 and path[0] == "nodes" and isinstance(path[1], int):
            return self.origins[path[1]]
        return None


def _cell(origin: Origin, path: SpecPath) -> SpecPath:
    """The cell of the node's row that says what is at `path`, the row itself for the node; nothing when none does."""
    if origin.table is None:
        return ()
    row = origin.table.root.items[origin.row]
    names = (".".join(map(str, path[:end])) for end in range(len(path), 0, -1))
    column = next((name for name in names if name in row.items), None)
    return (origin.row, column) if column else () if path else (origin.row,)


def lay_out(source: Source, read: Read) -> Layout:
    """The spec with series and tables written out; `read` opens a table. SpecError with all that is wrong there."""
    data: dict[str, Any] = source.data if isinstance(source.data, dict) else {}
    entries = data.get("nodes")
    if not isinstance(entries, list) or not any(map(_is_many, entries)):
        return Layout(source, source.data)
    problems: list[Problem] = []
    nodes: list[object] = []
    origins: list[Origin] = []
    for number, entry in enumerate(entries):
        try:
            for node, origin in _written_out(entry, number, read):
                nodes.append(node)
                origins.append(origin)
        except _WrongError as wrong:
            problems.append(source.problem(("nodes", number, *wrong.path), str(wrong), wrong.hint))
        except SpecError as error:
            problems += error.problems
    if len(nodes) > LARGEST:
        problems.append(source.problem(("nodes",), f"these are {len(nodes)} nodes; a spec has at most {LARGEST}"))
    if problems:
        raise SpecError((*source.twice, *problems))
    tables = {id(origin.table): origin.table for origin in origins if origin.table}
    return Layout(source, {**data, "nodes": nodes}, tuple(origins), tuple(tables.values()))


def _is_many(entry: object) -> bool:
    """Whether the entry is more than one node, written as one."""
    return isinstance(entry, dict) and ("from" in entry or any(_series_like(entry, key) for key in SERIES))


def _series_like(entry: Entry, key: str) -> bool:
    mark = "[" if key == "name" else "-"
    value = entry.get(key)
    return isinstance(value, str) and mark in value and (key != "mac" or ":" in value)


class _WrongError(Exception):
    """Something wrong with an entry, at a path below it."""

    def __init__(self, path: SpecPath, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.path, self.hint = path, hint


def _written_out(entry: object, number: int, read: Read) -> Iterator[tuple[object, Origin]]:
    if not isinstance(entry, dict) or not _is_many(entry):
        yield entry, Origin(number)
        return
    table = _table(entry, read)
    rows: Sequence[Mapping[str, str]] = table.data if table and isinstance(table.data, list) else ()
    columns = _columns(table, rows)
    series = {key: values for key in SERIES if (values := _series(entry, key)) is not None}
    count = _count(entry, series, rows if table else None)
    _check_apart(entry, series, {column.path[0] for column in columns}, count)
    shared = {key: value for key, value in entry.items() if key not in series and key != "from"}
    for at in range(count):
        node = shared | {key: values[at] for key, values in series.items()}
        for column in columns:
            column.fill(node, rows[at][column.name])
        yield node, Origin(number, table, at)


def _table(entry: Entry, read: Read) -> Source | None:
    if "from" not in entry:
        return None
    if not isinstance(entry["from"], str) or not entry["from"]:
        raise _WrongError(("from",), "the name of a file is wanted here", "name a CSV file beside the spec")
    try:
        return read(entry["from"])
    except SpecError:
        raise
    except KubeseedError as error:
        problem = error.problems[0]
        raise _WrongError(("from",), f"{problem.file}: {problem.message}", problem.hint) from None


def _columns(table: Source | None, rows: Sequence[Mapping[str, str]]) -> tuple[Column, ...]:
    if table is None:
        return ()
    if not rows:
        raise _WrongError(("from",), f"{table.file} names no node", "write a line for each, below the names of columns")
    columns, problems = [], []
    for name in rows[0]:
        try:
            columns.append(parse_column(name))
        except InvalidValueError as error:
            problems.append(table.cell_problem((HEADER, name), (), str(error), error.hint))
    if problems:
        raise SpecError(problems)
    return tuple(columns)


def _series(entry: Entry, key: str) -> Sequence[str] | None:
    if not _series_like(entry, key):
        return None
    try:
        return SERIES[key](entry[key])
    except InvalidValueError as error:
        raise _WrongError((key,), str(error), error.hint) from None


def _count(entry: Entry, series: Mapping[str, Sequence[str]], rows: Sequence[object] | None) -> int:
    """How many nodes the entry is: every series and the table agree."""
    sizes = {key: len(values) for key, values in series.items()} | ({"from": len(rows)} if rows is not None else {})
    leading = "name" if "name" in sizes else next(iter(sizes))
    for key, size in sizes.items():
        if size != sizes[leading]:
            raise _WrongError(
                (key,), f"{size} here, but {leading} makes {sizes[leading]} nodes", _length_hint(entry, sizes)
            )
    return sizes[leading]


def _length_hint(entry: Entry, sizes: Mapping[str, int]) -> str:
    count = sizes.get("name", sizes.get("from", 0))
    if "address" in sizes and sizes["address"] != count:
        first = entry["address"].partition("-")[0].strip()
        return f"{count} addresses from there on are {first}-{last_address(first, count)}"
    return "make both the same number"


def _check_apart(entry: Entry, series: Mapping[str, Sequence[str]], columns: set[str | int], count: int) -> None:
    """Each of several nodes has a name and an address of its own."""
    for key, example in (("name", "w[001-500]"), ("address", "10.20.0.1-10.20.1.244")):
        if count > 1 and key not in series and key not in columns:
            place = (key,) if key in entry else ("from",) if "from" in entry else ()
            hint = f"write a series, like {example}, or a column {key} in a table (from: FILE.csv)"
            raise _WrongError(place, f"{count} nodes, but nothing gives each of them its own {key}", hint)
