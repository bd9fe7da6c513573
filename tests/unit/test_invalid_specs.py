"""Every wrong spec under tests/invalid is told to its user in exactly the words of the .txt beside it.

`UPDATE_GOLDEN=1 pytest tests/unit/test_invalid_specs.py` writes the texts anew; review them like code.
"""

import os
from pathlib import Path

import pytest

from generator.check.every import PROFILE_RULES, RULES
from generator.errors import SpecError
from generator.parse import parse_cluster
from generator.profile import load_profiles
from generator.source import Source, parse_source, parse_table
from generator.spec.cluster import Cluster

FOLDER = Path(__file__).resolve().parents[1] / "invalid"
CASES = sorted(FOLDER.glob("*.yaml"))
PROFILES = load_profiles()


def table(name: str) -> Source:
    """A table beside the case."""
    return parse_table((FOLDER / name).read_bytes(), name)


def told(case: Path) -> str:
    """What a user sees: errors, or the warnings of a spec that is otherwise right."""
    try:
        _, problems = parse_cluster(case.read_text(), PROFILES, file=case.name, read=table)
    except SpecError as error:
        problems = error.problems
    return "".join(f"{problem}\n" for problem in problems)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_wrong_spec_is_told_in_these_words(case: Path) -> None:
    text, golden = told(case), case.with_suffix(".txt")
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_no_secret_is_ever_quoted(case: Path) -> None:
    assert "planted" not in told(case)


def test_texts_and_specs_come_in_pairs() -> None:
    assert {text.stem for text in FOLDER.glob("*.txt")} == {case.stem for case in CASES}


def broken_rules(case: Path) -> set[str]:
    """Names of the rules that a parseable case breaks."""
    try:
        cluster = Cluster.model_validate(parse_source(case.read_bytes(), case.name).data)
    except ValueError:
        return set()
    except SpecError:
        return set()
    broken = {rule.__name__ for rule in RULES if any(rule(cluster))}
    return broken | {rule.__name__ for rule in PROFILE_RULES if any(rule(cluster, PROFILES))}


def test_every_rule_has_a_case_that_breaks_it() -> None:
    broken = set().union(*(broken_rules(case) for case in CASES))
    # No profile of this release lacks an architecture: test_check.py breaks this rule with a profile of its own.
    assert {rule.__name__ for rule in (*RULES, *PROFILE_RULES)} - broken == {"check_arches"}
