"""Knows `labels`: one line for each node, `NAME KEY=VALUE ...`, which a master sets because kubelets may not."""

from collections.abc import Iterator

from generator.render.artefact import Artefact
from generator.spec.cluster import Cluster
from generator.spec.node import Node, Role

# kubeadm-ha's labels; kubeadm itself sets the first, and master until 1.23.
_LABELS = {
    Role.MASTER: ("control-plane", "master"),
    Role.WORKER: ("worker",),
    Role.ETCD: ("etcd",),
    Role.LB: ("lb",),
}


def render_labels(cluster: Cluster) -> Artefact:
    """The labels of roles, for every node that has a kubelet."""
    nodes = (node for node in cluster.nodes if {Role.MASTER, Role.WORKER} & set(node.roles))
    return Artefact("labels", "".join(f"{' '.join((node.name, *_of(node)))}\n" for node in nodes).encode())


def _of(node: Node) -> Iterator[str]:
    for role, names in _LABELS.items():
        if role in node.roles:
            yield from (f"node-role.kubernetes.io/{name}=" for name in names)
