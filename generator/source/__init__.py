"""A spec as text: YAML with the line and the column of every key and value."""

from generator.source.place import SpecPath, dotted
from generator.source.read import Source, parse_source, read_source

__all__ = ["Source", "SpecPath", "dotted", "parse_source", "read_source"]
