"""Knows what an artefact is: a path, its bytes, its mode and whether it holds a secret."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Artefact:
    """One file that `generate` writes.

    `path` is relative and uses `/`; `mode` is the POSIX mode the file is created with. A secret artefact is
    never written below `pxe/` and never readable by others.
    """

    path: str
    data: bytes
    mode: int = 0o644
    secret: bool = False
