"""Knows how a fault is told to a person: where it is, what was found, what is allowed, what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import ClassVar, Self


class ExitCode(IntEnum):
    """The exit status of every `kubeseed` command."""

    GOOD = 0
    SPEC = 1
    USAGE = 2
    ENVIRONMENT = 3


class Severity(StrEnum):
    """A warning does not stop `generate` unless `--strict` promotes it."""

    ERROR = "error"
    WARNING = "warning"


def printable(text: str) -> str:
    """The text with everything escaped that could drive a terminal: names and keys come from anywhere."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: `path` is the place in the spec (`nodes[3].mac`), `line` and `column` count from 1 (0: unknown).

    `excerpt` holds the lines of the file around the place, with a caret; secrets in it are already starred.
    """

    severity: Severity
    message: str
    path: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    hint: str = ""
    excerpt: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join((self.headline, *self.excerpt, *((f"hint: {printable(self.hint)}",) if self.hint else ())))

    @property
    def headline(self) -> str:
        """One line, as compilers write it: `file:line:column: severity: path: message`."""
        place = ":".join(part for part in (self.file, *(str(n) for n in (self.line, self.column) if n)) if part)
        return printable(": ".join(part for part in (place, self.severity.value, self.path, self.message) if part))


class KubeseedError(Exception):
    """A fault that ends a command: all problems at once, and the exit status that belongs to their kind."""

    exit_code: ClassVar[ExitCode] = ExitCode.ENVIRONMENT

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @classmethod
    def because(cls, message: str, *, file: str = "", hint: str = "") -> Self:
        """The error with a single problem that has no place in a spec."""
        return cls((Problem(Severity.ERROR, message, file=file, hint=hint),))


class SpecError(KubeseedError):
    """The cluster spec is wrong."""

    exit_code = ExitCode.SPEC


class UsageError(KubeseedError):
    """The command line is wrong."""

    exit_code = ExitCode.USAGE


class LocalError(KubeseedError):
    """Something on this machine is missing or broken: a file, a program, a permission."""

    exit_code = ExitCode.ENVIRONMENT
