"""Which fields Kubernetes' configuration types have in which version, from data/kubernetes-types.json."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_DATA = json.loads((Path(__file__).resolve().parents[1] / "data" / "kubernetes-types.json").read_text())


def unknown_fields(document: dict[str, Any], minor: int) -> list[str]:
    """Paths of keys that the document's type does not have in Kubernetes 1.`minor`."""
    group, _, version = document["apiVersion"].partition("/")
    match group:
        case "kubeadm.k8s.io":
            types = _DATA["kubeadm"][version]
        case "kubelet.config.k8s.io":
            types = _of_minor(_DATA["kubelet"], minor)
        case "kubeproxy.config.k8s.io":
            types = _of_minor(_DATA["kube-proxy"], minor)
        case _:
            raise KeyError(group)
    body = {key: value for key, value in document.items() if key not in ("apiVersion", "kind")}
    return list(_unknown(body, document["kind"], types, document["kind"]))


def _of_minor(types: dict[str, Any], minor: int) -> dict[str, dict[str, str]]:
    return {
        name: {field: kind for field, (kind, first, last) in fields.items() if first <= minor <= last}
        for name, fields in types.items()
    }


def _unknown(value: Any, kind: str, types: dict[str, dict[str, str]], path: str) -> Iterator[str]:
    if kind not in types:
        return
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _unknown(item, kind, types, f"{path}[{number}]")
        return
    for key, inner in value.items():
        if key not in types[kind]:
            yield f"{path}.{key}"
        else:
            yield from _unknown(inner, types[kind][key], types, f"{path}.{key}")
