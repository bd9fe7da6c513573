"""Knows cni.yaml: flannel's manifest as upstream has it since 0.25, with the cluster's network and images."""

from collections.abc import Iterator

from generator.render.artefact import Artefact
from generator.render.dump import Data, dump_json, dump_yaml_documents
from generator.spec.cluster import Cluster
from generator.spec.network import ClusterNetwork, Flannel, Plugin

NAMESPACE = "kube-flannel"
CONFIGURATION = "kube-flannel-cfg"
_LABELS: dict[str, Data] = {"k8s-app": "flannel"}
_POD_LABELS: dict[str, Data] = {"tier": "node", "app": "flannel"}


def render_cni(cluster: Cluster) -> tuple[Artefact, ...]:
    """`cni.yaml`, applied by the first master; nothing when the spec leaves the network plugin to its author."""
    if cluster.network.plugin is not Plugin.FLANNEL:
        return ()
    return (Artefact("cni.yaml", dump_yaml_documents(_flannel(cluster.network)).encode()),)


def _flannel(network: ClusterNetwork) -> Iterator[Data]:
    privileged: dict[str, Data] = {**_LABELS, "pod-security.kubernetes.io/enforce": "privileged"}
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": privileged}}
    yield from _rights()
    yield _configuration(network)
    yield _daemon_set(network.flannel)


def _rights() -> Iterator[Data]:
    group = "rbac.authorization.k8s.io"
    account: dict[str, Data] = {"name": "flannel", "namespace": NAMESPACE}
    cluster_wide: dict[str, Data] = {"name": "flannel", "labels": _LABELS}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {**account, "labels": _LABELS}}
    yield {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRole",
        "metadata": cluster_wide,
        "rules": [
            _rule("pods", "get"),
            _rule("nodes", "get", "list", "watch"),
            _rule("nodes/status", "patch"),
        ],
    }
    yield {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": cluster_wide,
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "flannel"},
        "subjects": [{"kind": "ServiceAccount", **account}],
    }


def _rule(resource: str, *verbs: str) -> Data:
    return {"apiGroups": [""], "resources": [resource], "verbs": verbs}


def _configuration(network: ClusterNetwork) -> Data:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIGURATION, "namespace": NAMESPACE, "labels": {**_LABELS, **_POD_LABELS}},
        "data": {"cni-conf.json": dump_json(_plugin_chain()), "net-conf.json": dump_json(_network(network))},
    }


def _plugin_chain() -> Data:
    """The CNI configuration that flannel's first container puts on the node."""
    return {
        "name": "cbr0",
        "cniVersion": "0.3.1",
        "plugins": [
            {"type": "flannel", "delegate": {"hairpinMode": True, "isDefaultGateway": True}},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _network(network: ClusterNetwork) -> Data:
    """flannel's own configuration; with IPv6 the network has another key and IPv4 is switched off."""
    subnet = str(network.pod_subnet)
    families: dict[str, Data] = (
        {"Network": subnet}
        if network.pod_subnet.version == 4
        else {"EnableIPv4": False, "EnableIPv6": True, "IPv6Network": subnet}
    )
    return {
        **families,
        "EnableNFTables": network.flannel.nftables,
        "Backend": {"Type": network.flannel.backend.value},
    }


def _daemon_set(flannel: Flannel) -> Data:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "kube-flannel-ds", "namespace": NAMESPACE, "labels": {**_LABELS, **_POD_LABELS}},
        "spec": {
            "selector": {"matchLabels": {"app": "flannel"}},
            "template": {"metadata": {"labels": _POD_LABELS}, "spec": _pod(flannel)},
        },
    }


def _pod(flannel: Flannel) -> dict[str, Data]:
    linux: dict[str, Data] = {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}
    terms: list[Data] = [{"matchExpressions": [linux]}]
    return {
        "affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}},
        },
        "hostNetwork": True,
        "priorityClassName": "system-node-critical",
        "tolerations": [{"operator": "Exists", "effect": "NoSchedule"}],
        "serviceAccountName": "flannel",
        "initContainers": [
            _copy(
                "install-cni-plugin",
                flannel.cni_image,
                ("/flannel", "/opt/cni/bin/flannel"),
                _mount("cni-plugin", "/opt/cni/bin"),
            ),
            _copy(
                "install-cni",
                flannel.image,
                ("/etc/kube-flannel/cni-conf.json", "/etc/cni/net.d/10-flannel.conflist"),
                _mount("cni", "/etc/cni/net.d"),
                _mount("flannel-cfg", "/etc/kube-flannel/"),
            ),
        ],
        "containers": [_daemon(flannel.image)],
        "volumes": [
            {"name": "run", "hostPath": {"path": "/run/flannel"}},
            {"name": "cni-plugin", "hostPath": {"path": "/opt/cni/bin"}},
            {"name": "cni", "hostPath": {"path": "/etc/cni/net.d"}},
            {"name": "flannel-cfg", "configMap": {"name": CONFIGURATION}},
            {"name": "xtables-lock", "hostPath": {"path": "/run/xtables.lock", "type": "FileOrCreate"}},
        ],
    }


def _copy(name: str, image: str, files: tuple[str, str], *mounts: Data) -> Data:
    return {"name": name, "image": image, "command": ["cp"], "args": ["-f", *files], "volumeMounts": mounts}


def _daemon(image: str) -> Data:
    """`--iface` by address: a machine with several cards uses the one that carries the node's own address."""
    return {
        "name": "kube-flannel",
        "image": image,
        "command": ["/opt/bin/flanneld"],
        "args": ["--ip-masq", "--kube-subnet-mgr", "--iface=$(NODE_ADDRESS)"],
        "resources": {"requests": {"cpu": "100m", "memory": "50Mi"}},
        "securityContext": {"privileged": False, "capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}},
        "env": [
            _field("POD_NAME", "metadata.name"),
            _field("POD_NAMESPACE", "metadata.namespace"),
            _field("NODE_ADDRESS", "status.hostIP"),
            {"name": "EVENT_QUEUE_DEPTH", "value": "5000"},
        ],
        "volumeMounts": [
            _mount("run", "/run/flannel"),
            _mount("flannel-cfg", "/etc/kube-flannel/"),
            _mount("xtables-lock", "/run/xtables.lock"),
        ],
    }


def _mount(name: str, path: str) -> Data:
    return {"name": name, "mountPath": path}


def _field(name: str, path: str) -> Data:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
