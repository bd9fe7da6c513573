"""What the keys of a spec mean, for people: at the command line and as a page."""

from generator.explain.page import explain
from generator.explain.reference import reference

__all__ = ["explain", "reference"]
