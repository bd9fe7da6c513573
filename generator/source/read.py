"""Knows how a file becomes a Source, and everything that can be wrong with it before a key is looked at."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import yaml

from generator.errors import LocalError, Problem, Severity, SpecError
from generator.source.excerpt import by_line, excerpt, split_lines, suspects
from generator.source.place import Place, Position, Span, SpecPath, dotted
from generator.source.tree import Fault, FaultError, TreeReader

LIMIT = 20_000_000
# YAML 1.2, section 5.1: what a stream may not contain.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Source:
    """A spec as it was read: `data` is plain Python, `root` knows where each part of it stood."""

    file: str
    lines: tuple[str, ...]
    data: object
    root: Place
    secrets: Mapping[int, Sequence[Span]] = field(default_factory=dict)
    digest: str = ""
    twice: tuple[Problem, ...] = ()

    def problem(self, path: SpecPath, message: str, hint: str = "", severity: Severity = Severity.ERROR) -> Problem:
        """A problem at `path`: at its value, or at what should hold it; without a place when nothing of it is there."""
        place, found = self.root.find(path)
        if place is self.root and len(path) > 1:
            return Problem(severity, message, dotted(path), self.file, hint=hint)
        return self._shown(place.value if found else place.key, path, message, hint, severity)

    def key_problem(self, path: SpecPath, message: str, hint: str = "") -> Problem:
        """A problem with the key at the end of `path` itself."""
        return self._shown(self.root.find(path)[0].key, path, message, hint, Severity.ERROR)

    def cell_problem(
        self, cell: SpecPath, path: SpecPath, message: str, hint: str = "", severity: Severity = Severity.ERROR
    ) -> Problem:
        """A problem with a table's `(row, column)`, or whole `(row,)`; `path` is what people call the place."""
        return self._shown(self.root.find(cell)[0].value, path, message, hint, severity)

    def fault_problem(self, fault: Fault) -> Problem:
        """A problem with the text."""
        return self._shown(fault.position, fault.path, fault.message, fault.hint, Severity.ERROR)

    def _shown(self, at: Position, path: SpecPath, message: str, hint: str, severity: Severity) -> Problem:
        return Problem(
            severity,
            message,
            dotted(path),
            self.file,
            at.line + 1,
            at.column + 1,
            hint,
            excerpt(self.lines, at, self.secrets),
        )


def read_source(path: Path) -> Source:
    """The spec in a file. LocalError when it cannot be read, SpecError when it is not one YAML document."""
    return parse_source(read_bytes(path, "spec"), str(path))


def read_bytes(path: Path, what: str) -> bytes:
    """The content of a file that is not too large for `what` it should be."""
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
    except OSError as error:
        raise LocalError.because(f"cannot read the {what}: {error.strerror}", file=str(path)) from error
    if len(content) > LIMIT:
        raise SpecError.because(
            f"the file has more than {LIMIT // 10**6} MB, the most a {what} may have", file=str(path)
        )
    return content


def read_text(path: Path, what: str) -> str:
    """The text of a file. LocalError when it cannot be read, SpecError when it is no text."""
    return decoded(read_bytes(path, what), str(path), f"the {what}")


def digest_of(content: bytes) -> str:
    """SHA-256 of what was read, in hexadecimal."""
    return sha256(content).hexdigest()


def parse_source(content: bytes, file: str) -> Source:
    """The spec in `content`; `file` is the name that problems show."""
    source = survey_source(content, file)
    if source.twice:
        raise SpecError(source.twice)
    return source


def survey_source(content: bytes, file: str) -> Source:
    """As `parse_source`, but with keys that are there twice: they are told in `twice`, and the first one counts."""
    text = decoded(content, file, "YAML")
    reader = TreeReader(text)
    lines = split_lines(text)
    try:
        value = reader.document()
    except FaultError as error:
        faults = [*reader.faults, error.fault]
    except yaml.YAMLError as error:
        faults = [*reader.faults, _syntax_fault(error)]
    else:
        source = Source(file, lines, value.data, value.place, by_line(reader.secrets), digest_of(content))
        return replace(source, twice=tuple(map(source.fault_problem, reader.faults)))
    raise _unread(file, lines, faults, reader.secrets)


def _unread(file: str, lines: tuple[str, ...], faults: Iterable[Fault], secrets: Iterable[Span] = ()) -> SpecError:
    """What is wrong with a text of which no tree can be made; whatever may be a secret in it is starred."""
    start = Position(0, 0)
    source = Source(file, lines, None, Place(start, start), by_line((*secrets, *suspects(lines))))
    return SpecError(map(source.fault_problem, faults))


def decoded(content: bytes, file: str, wanted: str) -> str:
    """The text of a file that should be `wanted`. SpecError when it is no text."""
    if b"\0" in content:
        raise SpecError.because(f"this is a binary file, not {wanted}", file=file, hint="write UTF-8 text")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fault = _fault_at(content[: error.start].decode("utf-8-sig"), "this is not UTF-8", "save the file as UTF-8")
        raise _unread(file, split_lines(content.decode("utf-8-sig", "replace")), [fault]) from error
    if found := _FORBIDDEN.search(text):
        message = f"the control character U+{ord(found[0]):04X} stands here"
        raise _unread(file, split_lines(text), [_fault_at(text[: found.start()], message, "remove it")])
    return text


def _fault_at(before: str, message: str, hint: str) -> Fault:
    """A fault of what follows the text `before`."""
    lines = split_lines(before)
    return Fault(Position(len(lines) - 1, len(lines[-1])), message, hint)


def _syntax_fault(error: yaml.YAMLError) -> Fault:
    mark = getattr(error, "problem_mark", None)
    position = Position(mark.line, mark.column) if mark else Position(0, 0)
    reason = getattr(error, "problem", None) or "the text cannot be read"
    tab = "cannot start any token" in reason
    hint = (
        "indent with blanks, not tabs, and put a value that begins with @, ` or % in quotes"
        if tab
        else _hint_for(reason)
    )
    return Fault(position, f"not YAML: {reason}", hint)


def _hint_for(reason: str) -> str:
    if "mapping values are not allowed" in reason:
        return "put a value that contains ': ' in quotes, and check the indentation of this line and the one above"
    if "expected ',' or" in reason:
        return "check brackets and commas here and above, and put a value that contains [ ] { } or , in quotes"
    return "check the indentation, brackets and quotes here and on the lines above"
