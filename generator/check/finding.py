"""Knows what a rule says when a spec breaks it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from generator.errors import Severity
from generator.source import SpecPath
from generator.spec.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule at a path of YAML keys; the parser adds file, line and excerpt."""

    path: SpecPath
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR


def warning(path: SpecPath, message: str, hint: str = "") -> Finding:
    """A finding that stops nothing unless `--strict` promotes it."""
    return Finding(path, message, hint, Severity.WARNING)


Rule = Callable[[Cluster], Iterator[Finding]]
