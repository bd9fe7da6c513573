"""Knows what a node is told about Kubernetes: the keys of node.conf, and how the node registers itself."""

from collections.abc import Iterable, Mapping

from generator.plan.backup import backup_facts
from generator.plan.certificates import plan_certificates
from generator.plan.engine import cri_socket, pause_image
from generator.plan.etcd import etcd_image, plan_member, runs_external_member
from generator.plan.load_balancer import balances, endpoint
from generator.spec.cluster import Cluster
from generator.spec.frozenmap import FrozenMap
from generator.spec.load_balancer import LoadBalancerMode
from generator.spec.node import Node, Role
from generator.value import KubeVersion, Taint, TaintEffect

_OLD_TAINT = Taint("node-role.kubernetes.io/master", "", TaintEffect.NO_SCHEDULE)
_TAINT = Taint("node-role.kubernetes.io/control-plane", "", TaintEffect.NO_SCHEDULE)


def kubernetes_facts(cluster: Cluster, node: Node) -> Mapping[str, str]:
    """The keys of node.conf (docs/node.md) that concern Kubernetes, its engine, load balancer and etcd."""
    kubernetes = cluster.kubernetes
    return FrozenMap({
        "KUBERNETES_VERSION": str(kubernetes.version),
        "KUBEADM_API": kubernetes.version.kubeadm_api.value,
        "IMAGE_REPOSITORY": kubernetes.image_repository,
        "CNI_VERSION": cluster.packages.cni_version or "",
        "KUBELET_ROOT": kubernetes.kubelet.root_dir,
        "ENDPOINT": endpoint(cluster),
        "JOIN_MODE": cluster.bootstrap.join.value,
        "CERTIFICATES": " ".join(plan_certificates(cluster, node)),
        "NETWORK_PLUGIN": cluster.network.plugin.value,
        "LABELS": " ".join(f"{key}={value}" for key, value in node.labels.items()),
        "TAINTS": " ".join(map(str, node_taints(cluster, node))),
        **_engine_facts(cluster),
        **_load_balancer_facts(cluster, node),
        **_etcd_facts(cluster, node),
        **backup_facts(cluster, node),
    })  # fmt: skip


def _engine_facts(cluster: Cluster) -> Mapping[str, str]:
    return {
        "ENGINE": cluster.engine.name.value,
        "ENGINE_VERSION": cluster.engine.version or "",
        "ENGINE_IMAGES": cluster.engine.images or "",
        "CRI_SOCKET": cri_socket(cluster),
        "PAUSE_IMAGE": pause_image(cluster),
    }


def _load_balancer_facts(cluster: Cluster, node: Node) -> Mapping[str, str]:
    settings = cluster.load_balancer
    vip = settings.vip if settings.mode is LoadBalancerMode.VIP else None
    return {
        "LB_MODE": settings.mode.value,
        "LB_ENGINE": settings.engine.value if balances(cluster, node) else "",
        "LB_PORT": str(settings.port),
        "LB_HEALTH_PORT": str(settings.health_port),
        "LB_VIP": str(vip or ""),
    }


def _etcd_facts(cluster: Cluster, node: Node) -> Mapping[str, str]:
    own = runs_external_member(cluster, node)
    return {
        "ETCD_TOPOLOGY": cluster.etcd.topology.value,
        "ETCD_NAME": plan_member(node).name if own else "",
        "ETCD_IMAGE": etcd_image(cluster) if own else "",
        "ETCD_DATA_DIR": cluster.etcd.data_dir,
    }


def node_taints(cluster: Cluster, node: Node) -> tuple[Taint, ...]:
    """The taints that the node registers with: the spec's, and kubeadm's own on a master that is no worker."""
    if Role.MASTER not in node.roles or Role.WORKER in node.roles:
        return node.taints
    return _unique((*control_plane_taints(cluster.kubernetes.version), *node.taints))


def control_plane_taints(version: KubeVersion) -> tuple[Taint, ...]:
    """kubeadm's taint of the control plane; 1.24 had the old and the new name."""
    if version.minor < 24:
        return (_OLD_TAINT,)
    return (_OLD_TAINT, _TAINT) if version.minor == 24 else (_TAINT,)


def _unique(taints: Iterable[Taint]) -> tuple[Taint, ...]:
    return tuple(dict.fromkeys(taints))
