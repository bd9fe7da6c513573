"""Knows how to show what `generate` would change, as `git diff` would, without a word of any secret."""

import re
from collections.abc import Iterable, Iterator
from difflib import unified_diff
from pathlib import Path
from typing import NamedTuple

from generator.manifest import Manifest
from generator.render.artefact import Artefact
from generator.secret import STARS

_SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----"
    r"|\$[0-9a-z]{1,3}\$[./0-9A-Za-z$=,]{8,}"  # crypt(5)
    r"|\b[0-9A-Fa-f]{64}\b"  # enrolment secrets; their digests elsewhere are public
    r"|[0-9A-Za-z+/]{80,}={0,2}",  # base64 of whole files, which may hold any of these
    re.DOTALL,
)


# A line of a diff is for people: what is longer than this is cut.
_WIDTH = 200


class Difference(NamedTuple):
    """A file that is not as it would be; `old` or `new` is None where there is none."""

    path: str
    old: bytes | None
    new: bytes | None
    secret: bool

    def lines(self) -> Iterator[str]:
        """A unified diff, in which nobody sees a secret."""
        return map(_cut, _diff(self.path, self.old, self.new, secret=self.secret))


def differences(out: Path, before: Manifest, artefacts: Iterable[Artefact]) -> Iterator[Difference]:
    """Every file in OUT that differs from `artefacts`, one after the other."""
    seen: set[str] = set()
    for artefact in artefacts:
        seen.add(artefact.path)
        old = _read(out / artefact.path)
        secret = artefact.secret or (artefact.path in before.entries and before.entries[artefact.path].secret)
        if old != artefact.data:
            yield Difference(artefact.path, old, artefact.data, secret)
    for path in sorted(before.entries.keys() - seen):
        if (old := _read(out / path)) is not None:
            yield Difference(path, old, None, before.entries[path].secret)


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[:_WIDTH]}… ({len(line)} characters)"


def _diff(path: str, old: bytes | None, new: bytes | None, *, secret: bool) -> Iterator[str]:
    if path.endswith(".gz") or (secret and not _is_seed(path)):
        yield f"{'Secret' if secret else 'Binary'} file {path} {_verb(old, new)}"
        return
    names = (f"a/{path}" if old is not None else "/dev/null", f"b/{path}" if new is not None else "/dev/null")
    lines = list(unified_diff(_lines(old, secret), _lines(new, secret), *names, lineterm=""))
    yield from lines or [f"Secret in {path} {_verb(old, new)}"]


def _is_seed(path: str) -> bool:
    """Whether people read the file; of all other secret files only the name is shown."""
    return path.startswith("nodes/")


def _verb(old: bytes | None, new: bytes | None) -> str:
    if old is None:
        return "is new"
    return "differs" if new is not None else "is removed"


def _lines(data: bytes | None, secret: bool) -> list[str]:
    text = (data or b"").decode(errors="replace")
    return (redact(text) if secret else text).splitlines()


def redact(text: str) -> str:
    """The text with stars for private keys, password hashes and enrolment secrets."""
    return _SECRETS.sub(STARS, text)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
