"""Knows what kubelet and kube-proxy are told: kubelet.config.k8s.io/v1beta1 and kubeproxy.config.k8s.io/v1alpha1."""

from generator.plan.etcd import CIPHER_SUITES
from generator.plan.pki import CA, KUBELET_CERTIFICATE, KUBELET_KEY
from generator.render.dump import Data
from generator.spec.cluster import Cluster
from generator.spec.kubernetes import ProxyMode, Reserved

_LOG_SUFFIXES = {"k": "Ki", "m": "Mi", "g": "Gi"}


def plan_kubelet(cluster: Cluster) -> dict[str, Data]:
    """KubeletConfiguration of every node. kubeadm adds clusterDNS, paths and what else belongs to it.

    The serving certificate comes from the coordinator, for the node's own name and address. serverTLSBootstrap would
    ask the cluster for one instead, which nobody approves once the coordinator is gone.
    """
    kubernetes, engine = cluster.kubernetes, cluster.engine
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": CA},
        },
        "authorization": {"mode": "Webhook"},
        "readOnlyPort": 0,
        "cgroupDriver": "systemd",
        "clusterDomain": kubernetes.cluster_domain,
        "maxPods": kubernetes.max_pods,
        "containerLogMaxSize": engine.log_max_size[:-1] + _LOG_SUFFIXES[engine.log_max_size[-1]],
        "containerLogMaxFiles": engine.log_max_files,
        "evictionHard": dict(kubernetes.kubelet.eviction_hard),
        "imageGCHighThresholdPercent": kubernetes.kubelet.image_gc_high,
        "imageGCLowThresholdPercent": kubernetes.kubelet.image_gc_low,
        **_reserved(kubernetes.kubelet.reserved),
        "protectKernelDefaults": kubernetes.kubelet.protect_kernel_defaults,
        "rotateCertificates": True,
        "tlsCertFile": KUBELET_CERTIFICATE,
        "tlsPrivateKeyFile": KUBELET_KEY,
        "tlsCipherSuites": CIPHER_SUITES,
    }


def plan_proxy(cluster: Cluster) -> dict[str, Data]:
    """KubeProxyConfiguration of every node."""
    mode = cluster.kubernetes.proxy_mode
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clusterCIDR": str(cluster.network.pod_subnet),
        "mode": mode.value,
        # Stage base has set the limit of connections; kube-proxy's own rule would lower it again.
        "conntrack": {"maxPerCore": 0},
        **({"ipvs": {"scheduler": "rr", "syncPeriod": "30s"}} if mode is ProxyMode.IPVS else {}),
    }


def _reserved(reserved: Reserved) -> dict[str, Data]:
    kept: dict[str, Data] = {"kubeReserved": {"cpu": str(reserved.kube.cpu), "memory": str(reserved.kube.memory)}}
    if reserved.system.enabled:
        kept["systemReserved"] = {
            "cpu": str(reserved.system.cpu),
            "memory": str(reserved.system.memory),
            "ephemeral-storage": str(reserved.system.ephemeral_storage),
        }
    return kept
