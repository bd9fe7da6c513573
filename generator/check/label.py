"""Knows which labels and taints a kubelet may register its node with (KEP 279, admission plugin NodeRestriction)."""

import re
from collections.abc import Iterator

from generator.check.finding import Finding
from generator.spec.cluster import Cluster
from generator.value import is_subdomain, quoted

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
# k8s.io/kubelet/pkg/apis, IsKubeletLabel: what a kubelet may set below kubernetes.io and k8s.io.
_KUBELET_PREFIXES = ("kubelet.kubernetes.io", "node.kubernetes.io")
_KUBELET_LABELS = {
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
}
_KEY_HINT = "a key is NAME or PREFIX/NAME: letters, digits, '-', '_', '.', at most 63; the prefix is a DNS name"
_VALUE_HINT = "a value is empty or has letters, digits, '-', '_', '.', at most 63; at both ends a letter or digit"


def _is_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return _NAME.fullmatch(name) is not None and (not slash or is_subdomain(prefix))


def _is_value(value: str) -> bool:
    return value == "" or _NAME.fullmatch(value) is not None


def _is_reserved(key: str) -> bool:
    """Whether Kubernetes keeps the label from kubelets."""
    domain = key.rpartition("/")[0]
    ours = any(domain == root or domain.endswith(f".{root}") for root in ("kubernetes.io", "k8s.io"))
    allowed = any(domain == root or domain.endswith(f".{root}") for root in _KUBELET_PREFIXES)
    return ours and not allowed and key not in _KUBELET_LABELS


def check_labels(cluster: Cluster) -> Iterator[Finding]:
    """Labels have Kubernetes' grammar, and a kubelet may set them."""
    for number, node in enumerate(cluster.nodes):
        for key, value in node.labels.items():
            path = ("nodes", number, "labels", key)
            if not _is_key(key):
                yield Finding(path, f"{quoted(key)} is not a label's key", _KEY_HINT)
            elif _is_reserved(key):
                hint = "kubeseed sets the labels of roles itself; set others below kubernetes.io with kubectl"
                yield Finding(path, f"a kubelet may not set the label {key}", hint)
            if not _is_value(value):
                yield Finding(path, f"{quoted(value)} is not a label's value", _VALUE_HINT)


def check_taints(cluster: Cluster) -> Iterator[Finding]:
    """Taints have Kubernetes' grammar, and no two of a node have the same key and effect."""
    for number, node in enumerate(cluster.nodes):
        seen: set[tuple[str, str]] = set()
        for at, taint in enumerate(node.taints):
            path = ("nodes", number, "taints", at)
            if not _is_key(taint.key):
                yield Finding(path, f"{quoted(taint.key)} is not a taint's key", _KEY_HINT)
            if not _is_value(taint.value):
                yield Finding(path, f"{quoted(taint.value)} is not a taint's value", _VALUE_HINT)
            if (taint.key, taint.effect) in seen:
                yield Finding(path, f"{node.name} has two taints {taint.key} with {taint.effect}", "keep one of them")
            seen.add((taint.key, taint.effect))
