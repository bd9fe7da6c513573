"""Knows the way from a file to a cluster that is fit to be planned, or to all problems of the spec at once."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from generator.check import check_cluster
from generator.errors import LocalError, Problem, Severity, SpecError
from generator.mirror import load_mirrors
from generator.parse.nodes import Layout, Read, lay_out
from generator.parse.preset import apply_preset
from generator.parse.translate import translate
from generator.profile import Profile, load_profiles
from generator.source import Source, read_bytes, read_table, survey_source
from generator.spec.cluster import Cluster

Parsed = tuple[Cluster, tuple[Problem, ...]]


class Loaded(NamedTuple):
    """A checked cluster, the warnings, and the digest of all files that it was read from."""

    cluster: Cluster
    warnings: tuple[Problem, ...]
    digest: str


def load_spec(path: Path, *, strict: bool = False) -> Loaded:
    """The cluster in a file and in the tables beside it. SpecError with every problem, LocalError when unreadable.

    `strict` makes every warning an error.
    """
    source = survey_source(read_bytes(path, "spec"), str(path))
    layout = _layout(source, lambda name: read_table(path.parent / name))
    cluster, problems = _cluster(layout, load_profiles(), strict=strict)
    return Loaded(apply_preset(cluster, load_mirrors()[cluster.packages.preset]), problems, layout.digest)


def load_cluster(path: Path, *, strict: bool = False) -> Parsed:
    """As `load_spec`, without the digest."""
    return load_spec(path, strict=strict)[:2]


def _no_tables(name: str) -> Source:
    raise LocalError.because("a spec that is not in a file has no tables beside it", file=name)


def parse_cluster(
    text: str,
    profiles: Mapping[str, Profile],
    *,
    file: str = "spec",
    strict: bool = False,
    read: Read = _no_tables,
) -> Parsed:
    """As `load_cluster`, from text that is already here; `read` opens tables. Touches no disk itself."""
    return _cluster(_layout(survey_source(text.encode(), file), read), profiles, strict=strict)


def _layout(source: Source, read: Read) -> Layout:
    if not isinstance(source.data, dict):
        raise SpecError([source.problem((), "a spec is a mapping of keys", "start with `kubeseed new`")])
    return lay_out(source, read)


def _cluster(layout: Layout, profiles: Mapping[str, Profile], *, strict: bool) -> Parsed:
    twice = layout.source.twice
    try:
        cluster = Cluster.model_validate(layout.data)
    except ValidationError as error:
        raise SpecError(_sorted((*twice, *layout.folded(translate(error, layout))), layout)) from None
    if twice:  # rules would judge a cluster that may not be the one that is meant
        raise SpecError(twice)
    told = (
        layout.problem(finding.path, finding.message, finding.hint, finding.severity)
        for finding in check_cluster(cluster, profiles)
    )
    found = _sorted(layout.folded(told), layout)
    problems = tuple(replace(problem, severity=Severity.ERROR) for problem in found) if strict else found
    if any(problem.severity is Severity.ERROR for problem in problems):
        raise SpecError(problems)
    return cluster, problems


def _sorted(problems: Iterable[Problem], layout: Layout) -> tuple[Problem, ...]:
    """In the order of the file, the spec before its tables."""
    files = [layout.source.file, *(table.file for table in layout.tables)]
    return tuple(sorted(problems, key=lambda problem: (files.index(problem.file), problem.line, problem.column)))
