"""Writes what tests prove of an operating system into profiles/proven.json, when KUBESEED_PROOF is set (`make proof`).

A test says `@pytest.mark.proves(level, what)`; the release is its parameter `os` or `profile`, or `os=` of the mark. A
claim is made when all cases of the test for that release have passed, and taken back when one has failed.
"""

import os
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import pytest

from generator.proof import Claim, Level, claims_file, dump_claims, parse_claims, profile_digest

Key = tuple[str, Level, str]
passed: dict[Key, str] = {}
failed: set[Key] = set()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "proves(level, what, os=None): what passing shows of a release (make proof)")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    mark = item.get_closest_marker("proves")
    if mark:
        key = _key(item, mark)
        if report.failed:
            failed.add(key)
        elif report.passed and report.when == "call":
            passed[key] = item.nodeid.partition("[")[0]
    return report


def _key(item: Any, mark: pytest.Mark) -> Key:
    level, what = mark.args
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    release = mark.kwargs.get("os") or parameters.get("os") or parameters["profile"].id
    return release, Level(level), what


def pytest_sessionfinish() -> None:
    if os.environ.get("KUBESEED_PROOF"):
        claims_file().write_text(dump_claims(renewed(parse_claims(claims_file().read_text()))))


def renewed(before: tuple[Claim, ...]) -> list[Claim]:
    """The claims after this run; of what did not run, those whose profile is still the same."""
    touched = passed.keys() | failed
    kept = [
        claim
        for claim in before
        if (claim.os, claim.level, claim.what) not in touched and claim.profile == profile_digest(claim.os)
    ]
    today = datetime.now(UTC).date().isoformat()
    made = [Claim(*key, test, today, profile_digest(key[0])) for key, test in passed.items() if key not in failed]
    return kept + made
