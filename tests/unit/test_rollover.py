"""A new root: made, trusted beside the old one, used, at last alone; one step after the other."""

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from generator.bundle import Bundle, dump_bundle, parse_bundle, renew_bundle
from generator.errors import LocalError, UsageError
from generator.resource import data_root
from generator.rollover import SPREAD, ageing, take_step
from generator.root import LIFETIME
from generator.root_step import RootStep
from tests.fixed import NOW, fixed_random

MINIMAL = str(data_root() / "profiles/cluster/minimal.yaml")


def fresh() -> Bundle:
    return renew_bundle(None, "prod", ("m1",), now=NOW, random=fixed_random())


def step(bundle: Bundle, name: str, days: float = 0) -> Bundle:
    return take_step(bundle, RootStep(name), now=NOW + timedelta(days=days), random=os.urandom)


def test_nodes_trust_both_roots_until_the_former_is_retired() -> None:
    first = fresh()
    both = step(first, "next")
    assert both.root == first.root
    assert both.other
    assert both.trusted == first.root.certificate + both.other.certificate
    switched = step(both, "switch", SPREAD.days)
    assert (switched.root, switched.other) == (both.other, first.root)
    alone = step(switched, "retire")
    assert alone.other is None
    assert alone.trusted == both.other.certificate
    assert alone.enrolments == first.enrolments


def test_a_next_root_that_nobody_wants_is_retired_too() -> None:
    assert step(step(fresh(), "next"), "retire") == fresh()


def test_a_step_out_of_turn_is_refused() -> None:
    for bundle, name, words in (
        (fresh(), "switch", "there is no next root"),
        (fresh(), "retire", "one root only"),
        (step(fresh(), "next"), "next", "two roots already"),
        (step(fresh(), "next"), "switch", "younger than a day"),
    ):
        with pytest.raises(UsageError, match=words):
            step(bundle, name)


def test_who_waited_until_the_root_was_over_need_not_wait_for_the_next() -> None:
    both = step(fresh(), "next", LIFETIME.days + 1)
    assert step(both, "switch", LIFETIME.days + 1).root == both.other


def test_a_root_in_its_last_two_years_is_told() -> None:
    assert ageing(fresh(), NOW + timedelta(days=LIFETIME.days - 731)) == ()
    (told,) = ageing(fresh(), NOW + timedelta(days=LIFETIME.days - 729))
    assert "until 2035-12-31" in told.message
    renewed = step(step(fresh(), "next", LIFETIME.days - 9), "switch", LIFETIME.days - 7)
    assert ageing(renewed, NOW + LIFETIME) == ()


def test_the_other_root_comes_back_as_it_was_and_whole_or_not_at_all() -> None:
    both = step(fresh(), "next")
    files = dict(dump_bundle(both))
    assert parse_bundle(files) == both
    assert renew_bundle(both, "prod", ("m1", "w1"), now=NOW, random=os.urandom).other == both.other
    del files["secrets/other-root.key"]
    with pytest.raises(LocalError, match="incomplete"):
        parse_bundle(files)


def test_what_generate_writes(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from generator.cli import app

    def generate(*words: str) -> int:
        done = CliRunner().invoke(app, ["generate", MINIMAL, "-o", str(tmp_path), *words, "--json"])
        return int(json.loads(done.output)["written"]) if done.exit_code == 0 else -1

    assert generate() > 0
    one = (tmp_path / "pxe/ca.crt").read_text()
    assert generate("--root", "next") > 0
    other = (tmp_path / "secrets/other-root.crt").read_text()
    assert (tmp_path / "secrets/other-root.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "pxe/ca.crt").read_text() == one + other
    assert (tmp_path / "nodes/m1/user-data").read_text().count("BEGIN CERTIFICATE") == 2
    assert generate() == 0
    assert generate("--root", "switch") == -1
    assert generate("--root", "retire") > 0
    assert not (tmp_path / "secrets/other-root.key").exists()
    assert (tmp_path / "pxe/ca.crt").read_text() == one
