"""A cluster to start from: three masters with etcd, a worker; each test says only what it changes."""

from typing import Any

from generator.render.artefact import Artefact
from generator.spec.cluster import Cluster

NODES: list[dict[str, Any]] = [
    {"name": "m1", "roles": ["master", "etcd"], "address": "192.168.77.11"},
    {"name": "m2", "roles": ["master", "etcd"], "address": "192.168.77.12"},
    {"name": "m3", "roles": ["master", "etcd"], "address": "192.168.77.13"},
    {"name": "w1", "roles": ["worker"], "address": "192.168.77.21"},
]


def example(**sections: Any) -> Cluster:
    """The cluster with whole sections of the spec (in camelCase) replaced."""
    return Cluster.model_validate({
        "metadata": {"name": "prod"},
        "coordinator": {"url": "https://192.168.77.2:8443"},
        "nodes": NODES,
        **sections,
    })  # fmt: skip


def with_node(number: int, **changes: Any) -> list[dict[str, Any]]:
    """The nodes with one of them changed."""
    return [{**node, **changes} if at == number else node for at, node in enumerate(NODES)]


def text(artefact: Artefact) -> str:
    """What the artefact says."""
    return artefact.data.decode()
