"""Knows how people see results: problems, tables and progress, with colour where the terminal has it."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from generator.errors import Problem, Severity, printable

_COLOURS: Mapping[Severity, str] = {Severity.ERROR: "bold red", Severity.WARNING: "yellow"}
_DIFF_COLOURS: Mapping[str, str] = {"-": "red", "+": "green", "@": "cyan"}
_PIPE_WIDTH = 300
# A person mends no more than so many problems before the next look.
_MANY = 50
# Below this many nodes a bar would be gone before it is seen.
_WORTH_A_BAR = 50


class Advance(Protocol):
    """Told that one more node is done."""

    def __call__(self, node: str) -> None: ...


def show_problems(problems: Iterable[Problem]) -> None:
    """The problems on standard error: where, what, the lines around it, what to do; as many as a person can take in."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    told = list(problems)
    for problem in told[:_MANY]:
        place, severity, rest = problem.headline.partition(problem.severity.value)
        head = Text.assemble(place, (severity, _COLOURS[problem.severity]), rest)
        console.print(Text("\n").join((head, *map(Text, problem.excerpt), *_hint(problem))))
    if len(told) > _MANY:
        console.print(Text(f"... and {len(told) - _MANY} more problems; mend these first"))


def _hint(problem: Problem) -> Iterator[Text]:
    if problem.hint:
        yield Text.assemble(("hint", "bold"), f": {printable(problem.hint)}")


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]], styles: Mapping[str, str] | None = None) -> None:
    """A table on standard output; `styles` colours cells by their text. Text is shown as it is, never as markup."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=(styles or {}).get(cell, "")) for cell in row))
    if sys.stdout.isatty():
        Console(highlight=False).print(table)
        return
    # A file or a pipe has no width; COLUMNS, which rich reads itself, may give it one. Nobody there wants padding.
    console = Console(highlight=False, width=None if "COLUMNS" in os.environ else _PIPE_WIDTH)
    with console.capture() as captured:
        console.print(table)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def show_json(data: object) -> None:
    """Data for machines on standard output."""
    sys.stdout.write(json.dumps(data, indent=2, default=_plain) + "\n")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return sorted(value) if isinstance(value, frozenset) else str(value)


def show_diff(lines: Iterable[str]) -> bool:
    """A diff on standard output, coloured as git does; whether there was anything to show."""
    console = Console(highlight=False, soft_wrap=True)
    shown = False
    for line in lines:
        console.print(Text(line, style=_DIFF_COLOURS.get(line[:1], "")))
        shown = True
    return shown


def say(text: str) -> None:
    """One or more lines on standard output, as they are."""
    sys.stdout.write(f"{text}\n")


@contextmanager
def progress(what: str, total: int) -> Iterator[Advance]:
    """A bar on standard error, only on a terminal and only when there is something to wait for."""
    console = Console(stderr=True)
    if total < _WORTH_A_BAR or not console.is_terminal:
        yield _ignore
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)

        def advance(node: str) -> None:
            bar.advance(task)

        yield advance


def _ignore(node: str) -> None:
    """Nobody watches."""
