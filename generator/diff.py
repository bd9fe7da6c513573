"""Knows how to show what `generate` would change, as `git diff` would, without a word of any secret."""

import re
from collections.abc import Iterable, Iterator
from difflib import unified_diff
from pathlib import Path

from generator.manifest import Manifest
from generator.render.artefact import Artefact
from generator.secret import STARS

_SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----"
    r"|\$[0-9a-z]{1,3}\$[./0-9A-Za-z$=,]{8,}"  # crypt(5)
    r"|\b[0-9A-Fa-f]{64}\b",  # enrolment secrets; their digests elsewhere are public
    re.DOTALL,
)


def diff_files(out: Path, before: Manifest, artefacts: Iterable[Artefact]) -> Iterator[str]:
    """The lines of a unified diff from the files in OUT to `artefacts`; nothing when they are the same."""
    seen: set[str] = set()
    for artefact in artefacts:
        seen.add(artefact.path)
        old = _read(out / artefact.path)
        secret = artefact.secret or (artefact.path in before.entries and before.entries[artefact.path].secret)
        yield from _diff(artefact.path, old, artefact.data, secret=secret)
    for path in sorted(before.entries.keys() - seen):
        yield from _diff(path, _read(out / path), None, secret=before.entries[path].secret)


def _diff(path: str, old: bytes | None, new: bytes | None, *, secret: bool) -> Iterator[str]:
    if old == new:
        return
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
