"""Knows the flags and mounts of the API server, the controller manager and the scheduler, beyond kubeadm's own."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from generator.plan.etcd import CIPHER_SUITES
from generator.plan.pki import AUDIT_POLICY, CA, ENCRYPTION
from generator.spec.cluster import Cluster
from generator.spec.kubernetes import Audit, HostPathMount, PathType
from generator.value import Duration


@dataclass(frozen=True, slots=True)
class Component:
    """What kubeadm lets a spec add to one component: flags without their dashes, and mounts."""

    extra_args: Mapping[str, str]
    extra_volumes: tuple[HostPathMount, ...]


def plan_api_server(cluster: Cluster) -> Component:
    """kube-apiserver. What the spec says itself wins over each flag here."""
    kubernetes = cluster.kubernetes
    plugins = kubernetes.admission_plugins
    flags = {
        "enable-admission-plugins": ",".join(plugins.enable),
        "disable-admission-plugins": ",".join(plugins.disable),
        "encryption-provider-config": ENCRYPTION if kubernetes.secrets_encryption else "",
        **(_audit_flags(kubernetes.audit) if kubernetes.audit.enabled else {}),
        # Kubelets serve with certificates of the cluster's own CA, so the API server can insist on it.
        "kubelet-certificate-authority": CA,
        "profiling": "false",
        "service-node-port-range": str(kubernetes.node_port_range),
        "tls-cipher-suites": ",".join(CIPHER_SUITES),
    }
    return Component(
        _merged(flags, kubernetes.api_server.extra_args),
        (*_api_server_volumes(cluster), *kubernetes.api_server.extra_volumes),
    )


def plan_controller_manager(cluster: Cluster) -> Component:
    """kube-controller-manager."""
    settings = cluster.kubernetes.controller_manager
    flags = {
        "cluster-signing-duration": go_duration(cluster.kubernetes.certificate_validity.leaf),
        "node-cidr-mask-size": str(cluster.network.node_prefix),
        "node-monitor-grace-period": go_duration(settings.node_monitor_grace_period),
        "node-monitor-period": go_duration(settings.node_monitor_period),
        "profiling": "false",
        "terminated-pod-gc-threshold": str(settings.terminated_pod_gc_threshold),
    }
    return Component(_merged(flags, settings.extra_args), settings.extra_volumes)


def plan_scheduler(cluster: Cluster) -> Component:
    """kube-scheduler."""
    settings = cluster.kubernetes.scheduler
    return Component(_merged({"profiling": "false"}, settings.extra_args), settings.extra_volumes)


def go_duration(duration: Duration) -> str:
    """As Go's time.ParseDuration reads it: it knows no days."""
    return re.sub(r"(\d+)d", lambda days: f"{int(days[1]) * 24}h", str(duration))


def _merged(flags: Mapping[str, str], own: Mapping[str, str]) -> Mapping[str, str]:
    return {**{name: value for name, value in flags.items() if value}, **own}


def _audit_flags(audit: Audit) -> dict[str, str]:
    return {
        "audit-policy-file": AUDIT_POLICY,
        "audit-log-path": f"{audit.directory}/audit.log",
        "audit-log-maxage": str(audit.max_age),
        "audit-log-maxbackup": str(audit.max_backups),
        "audit-log-maxsize": str(audit.max_size),
        "audit-log-truncate-enabled": "true",
    }


def _api_server_volumes(cluster: Cluster) -> Iterator[HostPathMount]:
    if cluster.kubernetes.secrets_encryption:
        yield _mount("kubeseed-encryption", ENCRYPTION, PathType.FILE, read_only=True)
    if cluster.kubernetes.audit.enabled:
        yield _mount("kubeseed-audit-policy", AUDIT_POLICY, PathType.FILE, read_only=True)
        yield _mount(
            "kubeseed-audit-log", cluster.kubernetes.audit.directory, PathType.DIRECTORY_OR_CREATE, read_only=False
        )


def _mount(name: str, path: str, kind: PathType, *, read_only: bool) -> HostPathMount:
    return HostPathMount.model_validate(
        {"name": name, "hostPath": path, "mountPath": path, "readOnly": read_only, "pathType": kind}
    )
