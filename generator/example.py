"""Knows the example specs that kubeseed brings: profiles/cluster."""

from generator.errors import UsageError
from generator.nearest import choice_hint
from generator.resource import data_root


def load_example(name: str) -> str:
    """The text of an example; UsageError names those there are."""
    files = {path.stem: path for path in sorted((data_root() / "profiles" / "cluster").glob("*.yaml"))}
    if name not in files:
        raise UsageError.because(f"there is no example {name!r}", hint=choice_hint(name, files))
    return files[name].read_text()
