"""A spec as text: YAML with the line and the column of every key and value."""

from generator.source.place import SpecPath, dotted
from generator.source.read import Source, decoded, parse_source, read_bytes, read_source, read_text, survey_source
from generator.source.table import HEADER, parse_table, read_table

__all__ = [
    "HEADER",
    "Source",
    "SpecPath",
    "decoded",
    "dotted",
    "parse_source",
    "parse_table",
    "read_bytes",
    "read_source",
    "read_table",
    "read_text",
    "survey_source",
]
