"""A spec as text: YAML with the line and the column of every key and value."""

from generator.source.place import SpecPath, dotted
from generator.source.read import Source, parse_source, read_source
from generator.source.table import HEADER, parse_table, read_table

__all__ = ["HEADER", "Source", "SpecPath", "dotted", "parse_source", "parse_table", "read_source", "read_table"]
