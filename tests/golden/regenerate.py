"""Writes the golden trees anew: python -m tests.golden.regenerate. Look at the diff before you commit it."""

import shutil
import tempfile
from pathlib import Path

from tests.golden.case import HERE, LISTING, SPECS, generate, listing, read_tree, readable


def regenerate(name: str, spec: Path) -> None:
    """Replaces tests/golden/NAME."""
    with tempfile.TemporaryDirectory() as folder:
        generate(spec, Path(folder))
        tree = read_tree(Path(folder))
    target = HERE / name
    shutil.rmtree(target, ignore_errors=True)
    for path, data in readable(tree).items():
        (target / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (target / "tree" / path).write_bytes(data)
    (target / LISTING).write_text(listing(tree))


if __name__ == "__main__":
    for case, spec in SPECS.items():
        regenerate(case, spec)
