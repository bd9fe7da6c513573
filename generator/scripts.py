"""Knows the scripts that every seed brings: templates/node, without the comments that only their authors need."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from generator.errors import LocalError
from generator.resource import data_root

LIBRARY = "/usr/local/lib/kubeseed"
UNITS = "/etc/systemd/system"
UNIT = "kubeseed-firstboot.service"


@dataclass(frozen=True, slots=True)
class Script:
    """A file as the seed lands it on a node."""

    path: str
    mode: int
    text: str


def load_scripts(folder: Path | None = None) -> tuple[Script, ...]:
    """All of templates/node, in the order of their paths; LocalError when the unit is not among them."""
    root = folder or data_root() / "templates" / "node"
    scripts = tuple(_script(path, path.relative_to(root)) for path in sorted(root.rglob("*")) if path.is_file())
    if not any(script.path == f"{UNITS}/{UNIT}" for script in scripts):
        raise LocalError.because("the node's scripts are missing; the installation is incomplete", file=str(root))
    return scripts


def _script(path: Path, name: Path) -> Script:
    text = "\n".join(without_comments(path.read_text().splitlines())) + "\n"
    if path.suffix in (".service", ".timer"):
        return Script(f"{UNITS}/{name.name}", 0o644, text)
    return Script(f"{LIBRARY}/{name.as_posix()}", 0o644 if path.suffix == ".sh" else 0o755, text)


def without_comments(lines: Iterable[str]) -> Iterator[str]:
    """The lines without those whose first character is `#`, but for the first two: interpreter and purpose."""
    return (line for number, line in enumerate(lines) if number < 2 or not line.startswith("#"))
