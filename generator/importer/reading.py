"""Knows how kubeadm-ha's values become those of the spec: each function takes what YAML or INI gave, or refuses it."""

import re
from collections.abc import Mapping
from typing import Any

import tomli_w

from generator.value import InvalidValueError, quoted

_WORDS = {
    **dict.fromkeys(("true", "yes", "on", "y", "1"), True),
    **dict.fromkeys(("false", "no", "off", "n", "0"), False),
}
_APT = re.compile(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s*(.*)")
_VOLUME_KEYS = ("name", "hostPath", "mountPath", "readOnly", "pathType")
# What containerd_runtimes is unless somebody sets it.
RUNC = [
    {"name": "runc", "type": "io.containerd.runc.v2", "engine": "", "root": "", "options": {"SystemdCgroup": "true"}}
]


def text(raw: Any) -> str:
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, str | int | float):
        return str(raw).strip()
    raise InvalidValueError("one value is wanted here")


def whole(raw: Any) -> int:
    found = text(raw)
    if not re.fullmatch(r"-?[0-9]{1,18}", found):
        raise InvalidValueError(f"{quoted(found)} is not a whole number")
    return int(found)


def flag(raw: Any) -> bool:
    found = text(raw).lower()
    if found not in _WORDS:
        raise InvalidValueError(f"{quoted(found)} is neither true nor false")
    return _WORDS[found]


def opposite(raw: Any) -> bool:
    return not flag(raw)


def words(raw: Any) -> list[str]:
    """A list, or its items between commas."""
    items = raw if isinstance(raw, list) else text(raw).split(",")
    return [found for item in items if (found := text(item))]


def days(raw: Any) -> str:
    return f"{whole(raw)}d"


def mapping(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise InvalidValueError("a mapping is wanted here")
    return dict(raw)


def arguments(raw: Any) -> dict[str, str]:
    return {text(key): text(value) for key, value in mapping(raw).items()}


def name_lists(raw: Any) -> dict[str, list[str]]:
    return {text(key): words(value) for key, value in mapping(raw).items()}


def volumes(raw: Any) -> list[dict[str, Any]]:
    """kubeadm's extra volumes; `{}` is none."""
    if not isinstance(raw, list):
        if raw:
            raise InvalidValueError("a list of volumes is wanted here")
        return []
    found = [mapping(volume) for volume in raw]
    if unknown := sorted({key for volume in found for key in volume} - set(_VOLUME_KEYS)):
        raise InvalidValueError(f"a volume has no key {', '.join(unknown)}")
    return [
        {key: flag(value) if key == "readOnly" else text(value) for key, value in volume.items()} for volume in found
    ]


def backend(raw: Any) -> str:
    """calico's backend: kubeadm-ha's own file calls bird `brid` in its comment."""
    found = text(raw)
    return "bird" if found == "brid" else found


def yum(raw: Any) -> dict[str, str]:
    return {"yum": text(raw)}


def apt(raw: Any) -> dict[str, Any]:
    """A line of sources.list; its options are dropped: packages are always verified."""
    found = _APT.fullmatch(text(raw))
    if found is None:
        raise InvalidValueError(
            f"{quoted(text(raw))} is not a line of sources.list", "write it like deb URL SUITE main"
        )
    components = {"aptComponents": found[3].split()} if found[3] else {}
    return {"apt": found[1], "aptSuite": found[2], **components}


def runtimes(raw: Any) -> str:
    """containerd_runtimes in containerd's own words; nothing when it is kubeadm-ha's default, and ours."""
    if raw == RUNC:
        return ""
    if not isinstance(raw, list):
        raise InvalidValueError("a list of runtimes is wanted here")
    tables = {}
    for runtime in map(mapping, raw):
        keys = {f"runtime_{key}": text(runtime[key]) for key in ("type", "engine", "root") if runtime.get(key)}
        options = {key: _option(value) for key, value in mapping(runtime.get("options") or {}).items()}
        tables[text(runtime.get("name"))] = {**keys, **({"options": options} if options else {})}
    return tomli_w.dumps({"plugins": {"io.containerd.grpc.v1.cri": {"containerd": {"runtimes": tables}}}})


def _option(raw: Any) -> Any:
    return _WORDS.get(raw, raw) if isinstance(raw, str) and not raw.isdecimal() else raw
