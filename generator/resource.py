"""Knows where the data folders `profiles` and `templates` are: inside an installed wheel, or in the checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_root() -> Path:
    """The folder that holds `profiles` and `templates`."""
    installed = _PACKAGE / "data"
    return installed if installed.is_dir() else _PACKAGE.parent
