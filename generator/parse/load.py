"""Knows the way from a file to a cluster that is fit to be planned, or to all problems of the spec at once."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from generator.check import check_cluster
from generator.errors import Problem, Severity, SpecError
from generator.mirror import load_mirrors
from generator.parse.preset import apply_preset
from generator.parse.translate import translate
from generator.profile import Profile, load_profiles
from generator.source import Source, parse_source, read_source
from generator.spec.cluster import Cluster

Parsed = tuple[Cluster, tuple[Problem, ...]]


def load_cluster(path: Path, *, strict: bool = False) -> Parsed:
    """The checked cluster in a file, and the warnings. Raises SpecError with every problem, LocalError when unreadable.

    `strict` makes every warning an error.
    """
    cluster, problems = _cluster(read_source(path), load_profiles(), strict=strict)
    return apply_preset(cluster, load_mirrors()[cluster.packages.preset]), problems


def parse_cluster(text: str, profiles: Mapping[str, Profile], *, file: str = "spec", strict: bool = False) -> Parsed:
    """As `load_cluster`, from text that is already here. Touches no disk."""
    return _cluster(parse_source(text.encode(), file), profiles, strict=strict)


def _cluster(source: Source, profiles: Mapping[str, Profile], *, strict: bool) -> Parsed:
    if not isinstance(source.data, dict):
        raise SpecError([source.problem((), "a spec is a mapping of keys", "start with `kubeseed new`")])
    try:
        cluster = Cluster.model_validate(source.data)
    except ValidationError as error:
        raise SpecError(_sorted(translate(error, source))) from None
    found = _sorted(
        source.problem(finding.path, finding.message, finding.hint, finding.severity)
        for finding in check_cluster(cluster, profiles)
    )
    problems = tuple(replace(problem, severity=Severity.ERROR) for problem in found) if strict else found
    if any(problem.severity is Severity.ERROR for problem in problems):
        raise SpecError(problems)
    return cluster, problems


def _sorted(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
