"""Knows `manifest.json`: what the last `generate` wrote, so that the next one knows what is its own."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Self

from generator.errors import LocalError
from generator.render.artefact import Artefact
from generator.render.dump import Data, dump_json

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """What the manifest says of one artefact."""

    sha256: str
    mode: int
    secret: bool

    @classmethod
    def of(cls, artefact: Artefact) -> Self:
        return cls(sha256(artefact.data).hexdigest(), artefact.mode, artefact.secret)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Every artefact by its path, and the digest of the spec that they came from."""

    spec_digest: str = ""
    entries: Mapping[str, Entry] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, entries: Iterable[tuple[str, Entry]], spec_digest: str) -> Self:
        return cls(spec_digest, MappingProxyType(dict(entries)))

    def dump(self) -> bytes:
        """The manifest as JSON: `format`, `specDigest` and `artefacts` by path."""
        artefacts: dict[str, Data] = {
            path: {"sha256": entry.sha256, "mode": f"{entry.mode:04o}", "secret": entry.secret}
            for path, entry in self.entries.items()
        }
        return dump_json({"format": FORMAT, "specDigest": self.spec_digest, "artefacts": artefacts}).encode()

    @classmethod
    def parse(cls, data: bytes, *, file: str = "manifest.json") -> Self:
        """The manifest back from its JSON; LocalError when it is not one of ours."""
        try:
            return cls._of_tree(json.loads(data))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise LocalError.because(
                "this is not a manifest that kubeseed wrote", file=file, hint="name the folder of an earlier generate"
            ) from None

    @classmethod
    def _of_tree(cls, tree: Any) -> Self:
        if tree["format"] != FORMAT:
            raise ValueError("format")
        entries = (
            (_own(path), Entry(entry["sha256"], int(entry["mode"], 8), entry["secret"]))
            for path, entry in tree["artefacts"].items()
        )
        return cls.of(entries, tree["specDigest"])


def _own(path: str) -> str:
    """The path as it is; one that could lead out of the folder is nothing that we wrote."""
    if any(step in f"/{path}/" for step in ("//", "/./", "/../")):
        raise ValueError("path")
    return path
