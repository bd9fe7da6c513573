"""From a file to a checked cluster."""

from generator.parse.load import load_cluster, parse_cluster

__all__ = ["load_cluster", "parse_cluster"]
