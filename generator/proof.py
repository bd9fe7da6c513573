"""Knows what tests have proven of each operating system: profiles/proven.json, which they write themselves."""

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from generator.errors import LocalError
from generator.resource import data_root


class Level(StrEnum):
    """How far a proof goes, the farthest first."""

    BOOTED = "booted"
    JUDGED = "judged"
    RENDERED = "rendered"


MEANINGS: Mapping[Level, str] = {
    Level.BOOTED: "a machine went through its first boot in a test",
    Level.JUDGED: "programs that read such files accepted them in a test",
    Level.RENDERED: "everything is written, and reads back as it was meant, in a test",
}


class Claim(NamedTuple):
    """One thing that a test has shown of a release, with the profile of that day."""

    os: str
    level: Level
    what: str
    test: str
    date: str
    profile: str


def profile_digest(os: str) -> str:
    """SHA-256 of a profile's file, of which a claim holds only as long as it is the same."""
    return sha256((data_root() / "profiles" / "os" / f"{os}.yaml").read_bytes()).hexdigest()


def claims_file() -> Path:
    """Where the claims are kept."""
    return data_root() / "profiles" / "proven.json"


def parse_claims(text: str) -> tuple[Claim, ...]:
    """The claims in this text."""
    return tuple(Claim(**{**entry, "level": Level(entry["level"])}) for entry in json.loads(text))


def dump_claims(claims: Iterable[Claim]) -> str:
    """The claims as text, one a line, in an order of their own."""
    ordered = sorted(claims, key=lambda claim: (claim.os, list(Level).index(claim.level), claim.what))
    return "[\n" + ",\n".join(json.dumps(claim._asdict()) for claim in ordered) + "\n]\n"


def load_claims() -> tuple[Claim, ...]:
    """Every claim that still holds: a profile that has changed since is one that nobody has tried."""
    path = claims_file()
    try:
        claims = parse_claims(path.read_text())
        return tuple(claim for claim in claims if claim.profile == profile_digest(claim.os))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise LocalError.because("the list of what is proven cannot be read", file=str(path)) from error


def highest(claims: Iterable[Claim]) -> str:
    """The farthest level among the claims; empty where there is none."""
    levels = {claim.level for claim in claims}
    return next((level for level in Level if level in levels), "")
