"""The JSON Schema: valid, explains every key, accepts right specs and refuses what an editor should show."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from generator.resource import data_root
from generator.schema import json_schema, schema_text
from generator.source import read_source
from generator.spec import shape

TESTS = Path(__file__).resolve().parents[1]
SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(schema_text()) == SCHEMA
    assert schema_text() == schema_text()


def properties(part: Any) -> list[tuple[str, Any]]:
    """Every property below a part of the schema."""
    if isinstance(part, list):
        return [found for item in part for found in properties(item)]
    if not isinstance(part, dict):
        return []
    own = list(part.get("properties", {}).items())
    return own + [found for item in part.values() for found in properties(item)]


def test_every_property_is_described() -> None:
    silent = [name for name, told in properties(SCHEMA) if "description" not in told and "$ref" not in told]
    assert silent == []
    assert {name for name, _ in properties(SCHEMA)} == {path[-1] for path, _ in shape.walk()}


def test_a_nodes_own_settings_claim_no_default() -> None:
    assert "default" not in SCHEMA["$defs"]["Node"]["properties"]["os"]
    assert SCHEMA["$defs"]["HostSettings"]["properties"]["os"]["default"] == "debian-12"


def test_secrets_are_write_only() -> None:
    hashes = [told for name, told in properties(SCHEMA) if name == "passwordHash"]
    assert hashes
    assert all('"writeOnly": true' in json.dumps(told) for told in hashes)


@pytest.mark.parametrize(
    "spec", sorted((data_root() / "profiles" / "cluster").glob("*.yaml")), ids=lambda spec: spec.stem
)
def test_right_specs_are_accepted(spec: Path) -> None:
    assert list(VALIDATOR.iter_errors(read_source(spec).data)) == []


@pytest.mark.parametrize(
    ("node", "right"),
    [
        ({"name": "w[001-500]", "roles": ["worker"], "address": "10.20.0.2-10.20.1.245"}, True),
        ({"from": "rack.csv", "roles": ["worker"]}, True),
        ({"name": "w1", "roles": ["worker"]}, False),
        ({"from": ["rack.csv"]}, False),
    ],
)
def test_series_and_tables_of_nodes_are_accepted(node: dict[str, Any], right: bool) -> None:
    spec = {"metadata": {"name": "a"}, "coordinator": {"url": "https://10.0.0.2:8443"}, "nodes": [node]}
    assert VALIDATOR.is_valid(spec) is right


KINDS = ("key", "type", "value")
MISTAKES = [case for case in sorted((TESTS / "invalid").glob("*.yaml")) if case.stem.split("-")[0] in KINDS]
# What only the parser sees: grammars that a pattern does not say.
BEYOND = (
    "type-password-weak",
    "value-address",
    "value-network",
    "value-node-name",
    "value-mac",
    "value-port-range",
    "value-url-password",
    "value-vrrp-password",
)


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: case.stem)
def test_mistakes_in_keys_and_types_are_refused(case: Path) -> None:
    refused = bool(list(VALIDATOR.iter_errors(read_source(case).data)))
    assert refused is not case.stem.startswith(BEYOND)
