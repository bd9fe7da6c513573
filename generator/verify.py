"""Knows how to read every artefact back: what cannot be parsed again is never written."""

import json
import shlex
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

import yaml

from generator.errors import LocalError
from generator.render.artefact import Artefact
from generator.render.cloud_init import HEADER, UserData

_KEYS_OF_SHARED = ("write_files", "runcmd")


def verify(artefact: Artefact) -> Artefact:
    """The artefact as it is, once it was read back; LocalError names a fault of kubeseed, never of the spec."""
    reader = _reader(artefact.path)
    if reader:
        _attempt(artefact.path, lambda: reader(artefact.data))
    return artefact


def verify_user_data(path: str, user_data: UserData) -> UserData:
    """The same for a user-data. The part that all nodes share is read once."""
    _attempt(path, lambda: _read_user_data(user_data))
    return user_data


def _attempt(path: str, read: Callable[[], object]) -> None:
    try:
        read()
    except (ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        # The reader's words could quote a secret; its type says enough to whoever has the spec.
        raise LocalError.because(
            f"what kubeseed rendered cannot be read back ({type(error).__name__})",
            file=path,
            hint="this is a fault in kubeseed; please report it with the part of the spec that brings it about",
        ) from None


def _reader(path: str) -> Callable[[bytes], object] | None:
    name = PurePosixPath(path)
    if name.name in ("meta-data", "network-config") or name.suffix == ".yaml":
        return _read_yaml
    return json.loads if name.suffix == ".json" else None


def _read_yaml(data: bytes) -> list[Any]:
    return list(yaml.load_all(data, yaml.CSafeLoader))


def _read_user_data(user_data: UserData) -> None:
    if not user_data.facts.startswith(HEADER):
        raise ValueError("header")
    tree: Mapping[str, Any] = yaml.load(user_data.facts, yaml.CSafeLoader)
    # The shared part goes on with the list that the facts end with.
    if list(tree)[-1] != "write_files" or _shared_keys(user_data.shared) != _KEYS_OF_SHARED or "runcmd" in tree:
        raise ValueError("parts")
    read_node_conf(next(entry["content"] for entry in tree["write_files"] if entry["path"].endswith("/node.conf")))


@lru_cache(maxsize=8)
def _shared_keys(shared: str) -> tuple[str, ...]:
    return tuple(yaml.load(f"write_files:\n{shared}", yaml.CSafeLoader))


def read_node_conf(text: str) -> dict[str, str]:
    """node.conf as a shell reads it; ValueError when a line is more or less than one assignment."""
    words = [shlex.split(line) for line in text.splitlines()]
    if any(len(word) != 1 for word in words):
        raise ValueError("node.conf")
    pairs = [word[0].partition("=") for word in words]
    if any(not (key.replace("_", "").isalpha() and key.isupper() and equals) for key, equals, _ in pairs):
        raise ValueError("node.conf")
    return {key: value for key, _, value in pairs}
