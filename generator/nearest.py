"""Knows which of the allowed words a person probably meant."""

import difflib
from collections.abc import Iterable


def nearest(given: str, allowed: Iterable[str]) -> str | None:
    """The allowed word most like `given`; upper and lower case, `-` and `_` do not count."""
    plain = {_plain(word): word for word in allowed}
    found = difflib.get_close_matches(_plain(given), plain, n=1, cutoff=0.6)
    return plain[found[0]] if found else None


def choice_hint(given: str, allowed: Iterable[str]) -> str:
    """Names the nearest of the allowed words, and all of them."""
    words = tuple(allowed)
    near = nearest(given, words)
    listed = f"allowed: {', '.join(words)}"
    return f"did you mean {near}? {listed}" if near else listed


def _plain(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")
