"""Knows which Kubernetes versions there are and what a version can do."""

from collections.abc import Iterator

from generator.check.finding import Finding, warning
from generator.nearest import choice_hint
from generator.spec.cluster import Cluster
from generator.spec.kubernetes import ProxyMode
from generator.value import KubeVersion

OLDEST = KubeVersion(1, 20, 0)
NEWEST_MINOR = 36
# Feature gate NFTablesProxyMode: alpha in 1.29. Mode ipvs: deprecated in 1.35.
_NFTABLES_SINCE, _IPVS_DEPRECATED = 29, 35
# A century: more than the life of any machine, less than what date fields of 32 bits hold anywhere.
_LONGEST_DAYS = 36525
# kubelet, pkg/kubelet/eviction/api: the signals of evictionHard.
_SIGNALS = (
    "memory.available", "allocatableMemory.available", "pid.available", "nodefs.available", "nodefs.inodesFree",
    "imagefs.available", "imagefs.inodesFree", "containerfs.available", "containerfs.inodesFree",
)  # fmt: skip


def check_version(cluster: Cluster) -> Iterator[Finding]:
    """The version is one that kubeseed's configuration of kubeadm is written for."""
    version = cluster.kubernetes.version
    if version < OLDEST or version.major != 1 or version.minor > NEWEST_MINOR:
        hint = f"supported: {OLDEST.release} to 1.{NEWEST_MINOR}"
        yield Finding(("kubernetes", "version"), f"Kubernetes {version} is not supported", hint)


def check_proxy_mode(cluster: Cluster) -> Iterator[Finding]:
    """The version's kube-proxy knows the mode."""
    mode, version = cluster.kubernetes.proxy_mode, cluster.kubernetes.version
    path = ("kubernetes", "proxyMode")
    if mode is ProxyMode.NFTABLES and version.minor < _NFTABLES_SINCE:
        yield Finding(
            path,
            f"kube-proxy {version} has no mode nftables",
            f"use iptables or ipvs, or 1.{_NFTABLES_SINCE} and later",
        )
    if mode is ProxyMode.IPVS and version.minor >= _IPVS_DEPRECATED:
        yield warning(path, f"mode ipvs is deprecated since 1.{_IPVS_DEPRECATED}", "use nftables")


def check_validity(cluster: Cluster) -> Iterator[Finding]:
    """Certificates last at least a day, at most a century, and not longer than who signed them."""
    validity = cluster.kubernetes.certificate_validity
    for key, days in (("ca", validity.ca.days), ("leaf", validity.leaf.days)):
        if not 1 <= days <= _LONGEST_DAYS:
            hint = f"write whole days, from 1d to {_LONGEST_DAYS}d"
            yield Finding(("kubernetes", "certificateValidity", key), f"certificates cannot last {days} days", hint)
    if validity.leaf.seconds > validity.ca.seconds:
        message = "certificates would outlive the authority that signs them"
        yield Finding(("kubernetes", "certificateValidity", "leaf"), message, "make leaf shorter than ca")


def check_admission(cluster: Cluster) -> Iterator[Finding]:
    """A plugin is either on or off."""
    plugins = cluster.kubernetes.admission_plugins
    for number, name in enumerate(plugins.disable):
        if name in plugins.enable:
            path = ("kubernetes", "admissionPlugins", "disable", number)
            yield Finding(path, f"{name} is also in admissionPlugins.enable", "keep it in one of the two")


def check_volumes(cluster: Cluster) -> Iterator[Finding]:
    """Volumes of one pod have names of their own."""
    kubernetes = cluster.kubernetes
    for key, component in (
        ("apiServer", kubernetes.api_server),
        ("controllerManager", kubernetes.controller_manager),
        ("scheduler", kubernetes.scheduler),
    ):
        names = [volume.name for volume in component.extra_volumes]
        for number, name in enumerate(names):
            if name in names[:number]:
                path = ("kubernetes", key, "extraVolumes", number, "name")
                yield Finding(path, f"the volume {name} is there twice", "give each volume a name of its own")


def check_eviction(cluster: Cluster) -> Iterator[Finding]:
    """The kubelet refuses to start on a signal it does not know."""
    for signal in cluster.kubernetes.kubelet.eviction_hard:
        if signal not in _SIGNALS:
            path = ("kubernetes", "kubelet", "evictionHard", signal)
            yield Finding(path, f"the kubelet knows no signal {signal!r}", choice_hint(signal, _SIGNALS))


def check_image_collection(cluster: Cluster) -> Iterator[Finding]:
    """The kubelet refuses to start when its garbage collection of images has no end (ValidateKubeletConfiguration)."""
    kubelet = cluster.kubernetes.kubelet
    if kubelet.image_gc_low >= kubelet.image_gc_high:
        path = ("kubernetes", "kubelet", "imageGCLowThresholdPercent")
        message = f"{kubelet.image_gc_low} is not below imageGCHighThresholdPercent, {kubelet.image_gc_high}"
        yield Finding(path, message, "give a lower one, or a higher imageGCHighThresholdPercent")
