"""Knows which Kubernetes an operating system can still run: control groups, kernel, container engine."""

import re
from collections.abc import Iterator, Mapping

from generator.check.finding import Finding, warning
from generator.profile import Feature, PackageManager, Profile
from generator.spec.bootstrap import Stage
from generator.spec.cluster import Cluster
from generator.spec.engine import EngineName
from generator.spec.node import Role

Profiles = Mapping[str, Profile]
_VERSION = ("kubernetes", "version")
# KEP-4569 (maintenance mode) and KEP-5573 (the kubelet does not start).
_CGROUP_V1_FROZEN, _CGROUP_V1_ENDS = 31, 35
# system-validators 1.9 in kubeadm 1.32: an error; 1.10.1 in 1.34: a warning.
_LEAST_KERNEL, _KERNEL_CHECKED, _KERNEL_WARNED = (4, 19), 32, 34
# kubelet 1.26 speaks CRI v1 only, which containerd has since 1.6; 1.35 is the last that takes containerd 1.
_ENGINES = ((26, (1, 6)), (36, (2,)))


_PACKAGE_VERSION = re.compile(r"(?:[0-9]+:)?([0-9]+)\.([0-9]+)")


def _needed(minor: int) -> tuple[int, ...]:
    """The oldest containerd that the kubelet speaks with."""
    return max((least for since, least in _ENGINES if minor >= since), default=())


def check_engine_version(cluster: Cluster) -> Iterator[Finding]:
    """A version of containerd that the spec asks for is one that the kubelet speaks with."""
    written, minor = cluster.engine.version, cluster.kubernetes.version.minor
    found = _PACKAGE_VERSION.match(written or "")
    if cluster.engine.name is not EngineName.CONTAINERD or found is None:
        return
    needed = _needed(minor)
    if (int(found[1]), int(found[2])) < needed:
        message = f"Kubernetes 1.{minor} needs containerd {'.'.join(map(str, needed))} or newer"
        yield Finding(("engine", "version"), message, "leave version out to get the newest")


def _profiles(cluster: Cluster, profiles: Profiles) -> Iterator[Profile]:
    """The operating systems that run a kubelet, each once."""
    kubelets = {node.os for node in cluster.nodes if {Role.MASTER, Role.WORKER} & set(node.roles)}
    yield from (profiles[name] for name in sorted(kubelets) if name in profiles)


def check_control_groups(cluster: Cluster, profiles: Profiles) -> Iterator[Finding]:
    """The kubelet wants cgroup v2; what boots with v1 can often be told otherwise on its kernel's command line."""
    version = cluster.kubernetes.version
    if version.minor < _CGROUP_V1_FROZEN:
        return
    for profile in _profiles(cluster, profiles):
        if Feature.CGROUP_V2 in profile.features:
            continue
        if version.minor >= _CGROUP_V1_ENDS:
            hint = f"choose Kubernetes 1.{_CGROUP_V1_ENDS - 1} or older, or a newer operating system"
            yield Finding(_VERSION, f"{profile.name} boots with cgroup v1, which {version.release} refuses", hint)
        else:
            message = f"{profile.name} boots with cgroup v1, which Kubernetes 1.{_CGROUP_V1_ENDS} refuses"
            yield warning(_VERSION, message, "plan for a newer operating system before that upgrade")


def check_kernel(cluster: Cluster, profiles: Profiles) -> Iterator[Finding]:
    """kubeadm looks at the kernel's version before it does anything."""
    version = cluster.kubernetes.version
    if version.minor < _KERNEL_CHECKED:
        return
    for profile in _profiles(cluster, profiles):
        if profile.kernel_version >= _LEAST_KERNEL:
            continue
        message = f"{profile.name} has Linux {profile.kernel}; kubeadm {version.release} wants 4.19 or newer"
        if version.minor < _KERNEL_WARNED:
            yield Finding(_VERSION, message, f"choose Kubernetes 1.{_KERNEL_CHECKED - 1}, or a newer operating system")
        else:
            yield warning(_VERSION, message, "choose a newer operating system")


def check_containerd(cluster: Cluster, profiles: Profiles) -> Iterator[Finding]:
    """Docker's repository has a containerd that the kubelet speaks with; a site's own may have another."""
    engine, minor = cluster.engine.name, cluster.kubernetes.version.minor
    needed = _needed(minor)
    if engine is not EngineName.CONTAINERD or Stage.ENGINE in cluster.bootstrap.skip_stages:
        return
    for profile in _profiles(cluster, profiles):
        source = cluster.packages.engine
        own = source.apt if profile.package_manager is PackageManager.APT else source.yum
        if profile.containerd_version < needed and not own:
            least = ".".join(map(str, needed))
            message = f"Kubernetes 1.{minor} needs containerd {least}; for {profile.name} there is {profile.containerd}"
            hint = "name a source that has it in packages.engine, or choose a newer operating system"
            yield Finding(_VERSION, message, hint)
