"""Knows `/etc/kubeseed/node.conf`: `KEY='value'` lines that a POSIX shell sources."""

from collections.abc import Mapping
from functools import lru_cache

from generator.render.text import sh


def render_node_conf(conf: Mapping[str, str]) -> str:
    """The facts in the order given, one a line; a value with a line break is refused."""
    return _lines(tuple(conf.items()))


@lru_cache(maxsize=2)  # every seed of a node has the same
def _lines(facts: tuple[tuple[str, str], ...]) -> str:
    return "".join(f"{key}={sh(value)}\n" for key, value in facts)
