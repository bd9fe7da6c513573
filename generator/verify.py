"""Knows how to read every artefact back: what cannot be parsed again is never written."""

import json
import re
import tomllib
from base64 import b64decode
from collections.abc import Callable, Mapping
from functools import lru_cache
from textwrap import dedent
from typing import Any

import yaml

from generator.errors import LocalError
from generator.render.artefact import Artefact
from generator.render.cloud_init import HEADER, UserData
from generator.render.landing import CONF

# A quote inside of quotes is written as four characters: end, escaped quote, begin.
_ASSIGNMENT = re.compile(r"([A-Z][A-Z0-9_]*)=('[^'\n]*(?:'\\''[^'\n]*)*')\n")
_NODE_CONF = re.compile(rf"(?:{_ASSIGNMENT.pattern})*")
_KEYS_OF_SHARED = ("write_files", "runcmd")
_LANDED = re.compile(r"^land '([^']+)' ([0-7]{4}) <<'KUBESEED'\n((?:\|.*\n)*)KUBESEED$", re.MULTILINE)
_DECODE = " | chroot /target base64 -d"
# Where the part that all nodes share begins, in an autoinstall and in a late script.
_SHARED_BEGINS = "\n    - path: /etc/kubeseed/ca.crt\n"
_SHARED_LANDS = "\nland '/etc/kubeseed/ca.crt' "


class _Untyped(yaml.CBaseLoader):
    """Reads the shape of a document; what type a scalar has is not asked, which takes half of the time."""

    def resolve(self, kind: object, value: object, implicit: object) -> str:
        return ""

    def descend_resolver(self, current_node: object, current_index: object) -> None: ...

    def ascend_resolver(self) -> None: ...


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
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration, yaml.YAMLError) as error:
        # The reader's words could quote a secret; its type says enough to whoever has the spec.
        raise LocalError.because(
            f"what kubeseed rendered cannot be read back ({type(error).__name__})",
            file=path,
            hint="this is a fault in kubeseed; please report it with the part of the spec that brings it about",
        ) from None


def _reader(path: str) -> Callable[[bytes], object] | None:
    if installer := _INSTALLERS.get(path.rpartition("/")[2]):
        return installer
    if path.endswith((".yaml", "/meta-data", "/network-config")):
        return _read_yaml
    if path.endswith(".toml"):
        return lambda data: tomllib.loads(data.decode())
    return json.loads if path.endswith(".json") else None


@lru_cache(maxsize=8)  # a node's sealed and its public seed have files in common
def _read_yaml(data: bytes) -> None:
    for _ in yaml.compose_all(data, _Untyped):
        pass


def _read_user_data(user_data: UserData) -> None:
    if not user_data.facts.startswith(HEADER):
        raise ValueError("header")
    facts = _top_level(user_data.facts)
    # The shared part goes on with the list that the facts end with.
    if list(facts)[-1] != "write_files" or _shared_keys(user_data.shared) != _KEYS_OF_SHARED or "runcmd" in facts:
        raise ValueError("parts")
    files = [{key.value: value.value for key, value in entry.value} for entry in facts["write_files"].value]
    _check_node_conf(next(file["content"] for file in files if file["path"] == CONF))


@lru_cache(maxsize=8)
def _shared_keys(shared: str) -> tuple[str, ...]:
    return tuple(_top_level(f"write_files:\n{shared}"))


def _top_level(text: str) -> dict[str, Any]:
    root = yaml.compose(text, _Untyped)
    if not isinstance(root, yaml.MappingNode):
        raise TypeError("mapping")
    return {key.value: value for key, value in root.value}


def read_node_conf(text: str) -> dict[str, str]:
    """node.conf as a shell reads it (XCU 2.2.2); ValueError when a line is more or less than one quoted assignment."""
    _check_node_conf(text)
    return {key: value[1:-1].replace("'\\''", "'") for key, value in _ASSIGNMENT.findall(text)}


@lru_cache(maxsize=2)  # every seed of a node has the same
def _check_node_conf(text: str) -> None:
    if not _NODE_CONF.fullmatch(text):
        raise ValueError("node.conf")


def read_landed(script: str) -> dict[str, tuple[int, str]]:
    """Mode and text of every file that a late script lands, by path, as its shell would read them."""
    return {path: (int(mode, 8), text[1:].replace("\n|", "\n")) for path, mode, text in _LANDED.findall(script)}


def late_script(preseed: str) -> str:
    """The script that a preseed's late_command puts together."""
    own, shared, _ = (part.rpartition("echo ")[2] for part in preseed.split(_DECODE))
    return _decoded(own) + _decoded(shared)


@lru_cache(maxsize=8)
def _decoded(text: str) -> str:
    return b64decode(text, validate=True).decode()


def _read_kickstart(data: bytes) -> None:
    _read_late(data.decode())


def _read_preseed(data: bytes) -> None:
    _read_late(late_script(data.decode()))


def _read_late(script: str) -> None:
    """As a user-data: the part that all nodes share is read once."""
    own, found, shared = script.partition(_SHARED_LANDS)
    if not found:
        raise ValueError("parts")
    _check_texts(own + "\n")
    _check_shared(found + shared)
    _check_node_conf(read_landed(own)[CONF][1])


@lru_cache(maxsize=8)
def _check_shared(script: str) -> None:
    _check_texts(script)


def _check_texts(script: str) -> None:
    """Every text that is landed comes to an end of its own."""
    if script.count("<<'KUBESEED'\n") != script.count("\nKUBESEED\n"):
        raise ValueError("texts")


def _read_autoinstall(data: bytes) -> None:
    """As a user-data: the part that all nodes share is read once."""
    text = data.decode()
    cut = text.index(_SHARED_BEGINS) + 1
    (section,) = _top_level(text[:cut]).values()
    inner = {key.value: value for key, value in section.value}
    if list(inner)[-1] != "user-data" or inner["user-data"].value[-1][0].value != "write_files":
        raise ValueError("parts")
    if _shared_keys(dedent(text[cut:])) != _KEYS_OF_SHARED:
        raise ValueError("shared")


_INSTALLERS: Mapping[str, Callable[[bytes], object]] = {
    "kickstart.cfg": _read_kickstart,
    "preseed.cfg": _read_preseed,
    "autoinstall.yaml": _read_autoinstall,
}
