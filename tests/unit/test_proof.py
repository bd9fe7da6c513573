"""What is claimed of each operating system was shown by a test that is there, with the profile as it is."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from generator import proof
from generator.bundle import renew_bundle
from generator.files import Inputs, render_files
from generator.profile import Profile
from generator.proof import Claim, Level, dump_claims, highest, load_claims, parse_claims
from generator.value import Arch
from tests import proving
from tests.fixed import NOW, fixed_random
from tests.installing import KINDS, MIRRORS, PROFILES, SCRIPTS, cluster_of

ROOT = Path(__file__).resolve().parents[2]
CLAIMS = parse_claims(proof.claims_file().read_text())


@pytest.mark.proves("rendered", "seeds, files and the installer's file for every kind of node")
@pytest.mark.parametrize("arch", list(Arch))
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.id)
def test_everything_of_a_release_is_rendered_and_reads_back(profile: Profile, arch: Arch) -> None:
    for kind in KINDS:
        cluster = cluster_of(kind, profile.id)
        first = cluster.nodes[0].model_copy(update={"arch": arch})
        cluster = cluster.model_copy(update={"nodes": (first,)})
        names = [str(node.name) for node in cluster.nodes]
        bundle = renew_bundle(None, "prod", names, now=NOW, random=fixed_random())
        written = {found.path for found in render_files(Inputs(cluster, "0" * 64, PROFILES, MIRRORS, bundle, SCRIPTS))}
        assert any(path.startswith(f"nodes/{first.name}/{profile.installer.value}") for path in written)


def marks() -> Iterator[tuple[str, str, str]]:
    """Test, level and subject of every mark `proves` in the tests."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
        for function in functions:
            for call in function.decorator_list:
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.proves":
                    level, what = (ast.literal_eval(argument) for argument in call.args)
                    yield f"{path.relative_to(ROOT)}::{function.name}", level, what


def test_every_claim_was_made_by_a_test_with_the_profile_as_it_is() -> None:
    """When a profile has changed: `make proof`, or what nobody can run here is no longer claimed."""
    known = set(marks())
    assert [claim for claim in CLAIMS if (claim.test, claim.level.value, claim.what) not in known] == []
    assert [claim for claim in CLAIMS if claim.profile != proof.profile_digest(claim.os)] == []
    assert proof.claims_file().read_text() == dump_claims(CLAIMS)


def test_every_release_is_rendered_at_least() -> None:
    assert {claim.os for claim in CLAIMS if claim.level is Level.RENDERED} == set(PROFILES)


CLAIM = Claim("debian-12", Level.BOOTED, "x", "tests/x.py::test_x", "2026-01-02", "0" * 64)


def test_a_claim_with_another_profile_does_not_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "proven.json"
    current = CLAIM._replace(os="rocky-9", profile=proof.profile_digest("rocky-9"))
    file.write_text(dump_claims([CLAIM, current]))
    monkeypatch.setattr(proof, "claims_file", lambda: file)
    assert load_claims() == (current,)
    assert (highest([CLAIM, current._replace(level=Level.JUDGED)]), highest([])) == ("booted", "")


def test_what_failed_or_is_stale_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = CLAIM._replace(profile=proof.profile_digest("debian-12"))
    keys = {name: ("debian-12", Level.JUDGED, name) for name in ("passed", "failed", "both")}
    before = (now, CLAIM._replace(what="stale"), now._replace(level=Level.JUDGED, what="failed"))
    monkeypatch.setattr(proving, "passed", {keys["passed"]: "tests/x.py::test_x", keys["both"]: "tests/x.py::test_x"})
    monkeypatch.setattr(proving, "failed", {keys["failed"], keys["both"]})
    assert [(claim.level, claim.what) for claim in proving.renewed(before)] == [("booted", "x"), ("judged", "passed")]
    assert json.loads(dump_claims(proving.renewed(before)))[0]["os"] == "debian-12"
