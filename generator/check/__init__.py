"""Rules across the fields of a spec: one small function each."""

from generator.check.every import check_cluster

__all__ = ["check_cluster"]
