"""Knows kubeadm's configuration files, kubeadm.k8s.io/v1beta2 to v1beta4: which field each version has."""

from collections.abc import Iterable, Mapping

from generator.plan.control_plane import (
    Component,
    go_duration,
    plan_api_server,
    plan_controller_manager,
    plan_scheduler,
)
from generator.plan.engine import cri_socket
from generator.plan.etcd import CIPHER_SUITES, METRICS_URL, TUNING, plan_members
from generator.plan.kubelet import plan_kubelet, plan_proxy
from generator.plan.kubernetes import node_taints
from generator.plan.load_balancer import API_PORT, endpoint
from generator.plan.pki import DIRECTORY, DISCOVERY, ETCD_CA, ETCD_CLIENT_CERTIFICATE, ETCD_CLIENT_KEY
from generator.render.artefact import Artefact
from generator.render.dump import Data, dump_yaml_documents
from generator.spec.cluster import Cluster
from generator.spec.etcd import EtcdTopology
from generator.spec.kubernetes import HostPathMount
from generator.spec.node import Node, Role
from generator.value import KubeadmApi, Taint

KUBELET_ROOT = "/var/lib/kubelet"
# Slow disks and first pulls: kubeadm's own 4 minutes are short for a machine that has just been installed.
CONTROL_PLANE_TIMEOUT = "10m0s"
DISCOVERY_TIMEOUT = "5m0s"


def render_init(cluster: Cluster) -> Artefact:
    """`kubeadm-init.yaml` of the first master."""
    documents = (
        init_configuration(cluster, cluster.first_master),
        cluster_configuration(cluster),
        plan_kubelet(cluster),
        plan_proxy(cluster),
    )
    return Artefact("kubeadm-init.yaml", dump_yaml_documents(documents).encode())


def render_join(cluster: Cluster, node: Node) -> Artefact:
    """`kubeadm-join.yaml` of every other master and worker."""
    return Artefact("kubeadm-join.yaml", dump_yaml_documents((join_configuration(cluster, node),)).encode())


def init_configuration(cluster: Cluster, node: Node) -> dict[str, Data]:
    """InitConfiguration. The skipped phase would make a bootstrap token that any machine could join with."""
    api = cluster.kubernetes.version.kubeadm_api
    return {
        **_head(api, "InitConfiguration"),
        "localAPIEndpoint": _local_endpoint(node),
        "nodeRegistration": _registration(cluster, node),
        **({} if api is KubeadmApi.V1BETA2 else {"skipPhases": ["bootstrap-token"]}),
        **_timeouts(api, {"controlPlaneComponentHealthCheck": CONTROL_PLANE_TIMEOUT}),
    }


def join_configuration(cluster: Cluster, node: Node) -> dict[str, Data]:
    """JoinConfiguration. It holds no secret: the discovery file comes from the coordinator."""
    api = cluster.kubernetes.version.kubeadm_api
    timeouts = {"controlPlaneComponentHealthCheck": CONTROL_PLANE_TIMEOUT, "discovery": DISCOVERY_TIMEOUT}
    discovery: dict[str, Data] = {"file": {"kubeConfigPath": DISCOVERY}}
    if api is not KubeadmApi.V1BETA4:
        discovery["timeout"] = DISCOVERY_TIMEOUT
    return {
        **_head(api, "JoinConfiguration"),
        "discovery": discovery,
        "nodeRegistration": _registration(cluster, node),
        **({"controlPlane": {"localAPIEndpoint": _local_endpoint(node)}} if Role.MASTER in node.roles else {}),
        **_timeouts(api, timeouts),
    }


def cluster_configuration(cluster: Cluster) -> dict[str, Data]:
    """ClusterConfiguration, kept by kubeadm in ConfigMap kube-system/kubeadm-config."""
    kubernetes, network = cluster.kubernetes, cluster.network
    api = kubernetes.version.kubeadm_api
    return {
        **_head(api, "ClusterConfiguration"),
        "clusterName": cluster.metadata.name,
        "kubernetesVersion": f"v{kubernetes.version}",
        "controlPlaneEndpoint": endpoint(cluster),
        "imageRepository": kubernetes.image_repository,
        "certificatesDir": DIRECTORY,
        **_validity(cluster, api),
        "networking": {
            "dnsDomain": kubernetes.cluster_domain,
            "podSubnet": str(network.pod_subnet),
            "serviceSubnet": str(network.service_subnet),
        },
        "apiServer": _api_server(cluster, api),
        "controllerManager": _component(api, plan_controller_manager(cluster)),
        "scheduler": _component(api, plan_scheduler(cluster)),
        **({"dns": {"imageTag": kubernetes.images.coredns}} if kubernetes.images.coredns else {}),
        "etcd": _etcd(cluster, api),
    }


def _head(api: KubeadmApi, kind: str) -> dict[str, Data]:
    return {"apiVersion": f"kubeadm.k8s.io/{api}", "kind": kind}


def _timeouts(api: KubeadmApi, timeouts: Mapping[str, str]) -> dict[str, Data]:
    return {"timeouts": dict(timeouts)} if api is KubeadmApi.V1BETA4 else {}


def _validity(cluster: Cluster, api: KubeadmApi) -> dict[str, Data]:
    """For what kubeadm signs itself: super-admin.conf, kubelet.conf of the first master, renewals."""
    if api is not KubeadmApi.V1BETA4:
        return {}
    validity = cluster.kubernetes.certificate_validity
    return {
        "certificateValidityPeriod": go_duration(validity.leaf),
        "caCertificateValidityPeriod": go_duration(validity.ca),
    }


def _local_endpoint(node: Node) -> dict[str, Data]:
    return {"advertiseAddress": str(node.address), "bindPort": API_PORT}


def _registration(cluster: Cluster, node: Node) -> dict[str, Data]:
    """NodeRegistrationOptions. `taints` is always said: without it kubeadm taints every master."""
    arguments = {"node-ip": str(node.address)}
    if cluster.kubernetes.kubelet.root_dir != KUBELET_ROOT:
        arguments["root-dir"] = cluster.kubernetes.kubelet.root_dir
    if node.labels:
        arguments["node-labels"] = ",".join(f"{key}={value}" for key, value in node.labels.items())
    return {
        "name": node.name,
        "criSocket": cri_socket(cluster),
        "taints": [_taint(taint) for taint in node_taints(cluster, node)],
        "kubeletExtraArgs": _arguments(cluster.kubernetes.version.kubeadm_api, arguments),
    }


def _taint(taint: Taint) -> dict[str, Data]:
    return {"key": taint.key, **({"value": taint.value} if taint.value else {}), "effect": taint.effect.value}


def _api_server(cluster: Cluster, api: KubeadmApi) -> dict[str, Data]:
    component = _component(api, plan_api_server(cluster))
    if cluster.kubernetes.cert_sans:
        component["certSANs"] = cluster.kubernetes.cert_sans
    if api is not KubeadmApi.V1BETA4:
        component["timeoutForControlPlane"] = CONTROL_PLANE_TIMEOUT
    return component


def _component(api: KubeadmApi, component: Component) -> dict[str, Data]:
    rendered: dict[str, Data] = {"extraArgs": _arguments(api, component.extra_args)}
    if component.extra_volumes:
        rendered["extraVolumes"] = [_volume(volume) for volume in component.extra_volumes]
    return rendered


def _arguments(api: KubeadmApi, arguments: Mapping[str, str]) -> Data:
    """A mapping until v1beta3, a list of names and values from v1beta4 on."""
    if api is not KubeadmApi.V1BETA4:
        return dict(arguments)
    return [{"name": name, "value": value} for name, value in arguments.items()]


def _volume(volume: HostPathMount) -> dict[str, Data]:
    return {
        "name": volume.name,
        "hostPath": volume.host_path,
        "mountPath": volume.mount_path,
        "readOnly": volume.read_only,
        **({"pathType": volume.path_type.value} if volume.path_type else {}),
    }


def _etcd(cluster: Cluster, api: KubeadmApi) -> dict[str, Data]:
    if cluster.etcd.topology is EtcdTopology.EXTERNAL:
        return {"external": _external_etcd(member.client_url for member in plan_members(cluster))}
    arguments = {**TUNING, "cipher-suites": ",".join(CIPHER_SUITES), "listen-metrics-urls": METRICS_URL}
    tag = cluster.kubernetes.images.etcd
    return {
        "local": {
            "dataDir": cluster.etcd.data_dir,
            "extraArgs": _arguments(api, arguments),
            **({"imageTag": tag} if tag else {}),
        }
    }


def _external_etcd(endpoints: Iterable[str]) -> dict[str, Data]:
    return {
        "endpoints": tuple(endpoints),
        "caFile": ETCD_CA,
        "certFile": ETCD_CLIENT_CERTIFICATE,
        "keyFile": ETCD_CLIENT_KEY,
    }
