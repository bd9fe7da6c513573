"""Knows the spec as JSON Schema, for editors."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema

from generator.spec.cluster import Cluster
from generator.spec.host import HostSettings

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Generator(GenerateJsonSchema):
    """pydantic's schema with our values as they are written in YAML and without what only pydantic needs."""

    def encode_default(self, dft: Any) -> Any:
        return _written(dft)

    def get_title_from_name(self, name: str) -> str:
        return name

    def generate(self, schema: CoreSchema, mode: str = "validation") -> JsonSchemaValue:
        return super().generate(schema, "validation")


def _written(default: Any) -> Any:
    """A default as plain JSON."""
    if isinstance(default, Mapping):
        return {str(key): _written(item) for key, item in default.items()}
    if isinstance(default, tuple):
        return [_written(item) for item in default]
    return default if default is None or isinstance(default, bool | int) else str(default)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a cluster spec, with every description."""
    schema = Cluster.model_json_schema(schema_generator=_Generator)
    _tidied(schema)
    node = schema["$defs"]["Node"]
    for field in HostSettings.model_fields.values():
        node["properties"][field.alias].pop("default", None)
    node["properties"]["name"].pop("format")  # a series of names is no host name
    node["anyOf"] = [{"required": node.pop("required")}, {"required": ["from"]}]
    return {"$schema": DIALECT, **schema, "title": "kubeseed cluster spec"}


def schema_text() -> str:
    """The JSON Schema as text."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _tidied(part: Any) -> None:
    """Drops titles, which repeat keys, and defaults of sections, whose keys have their own; closes maps."""
    if isinstance(part, list):
        for item in part:
            _tidied(item)
    if isinstance(part, dict):
        if isinstance(part.get("title"), str):
            del part["title"]
        if "$ref" in part:
            part.pop("default", None)
        if "patternProperties" in part:
            part["additionalProperties"] = False
        for item in part.values():
            _tidied(item)
