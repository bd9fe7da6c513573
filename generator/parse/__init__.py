"""From a file to a checked cluster."""

from generator.parse.load import Loaded, load_cluster, load_spec, parse_cluster

__all__ = ["Loaded", "load_cluster", "load_spec", "parse_cluster"]
