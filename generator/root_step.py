"""Knows the words for the steps to a new root; apart from what they do, so that `--help` stays quick."""

from enum import StrEnum


class RootStep(StrEnum):
    """The steps, in their order."""

    NEXT = "next"
    SWITCH = "switch"
    RETIRE = "retire"
