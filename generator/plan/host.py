"""Knows what a node is told about itself as a machine: the keys of node.conf beside those of Kubernetes."""

from collections.abc import Iterable, Mapping

from generator.bundle import Enrolment
from generator.profile import Profile
from generator.spec.bootstrap import Stage
from generator.spec.cluster import Cluster
from generator.spec.node import Node, Role

# kubeadm-ha's limits: CPUs, and MiB of memory. Firmware and kernel keep some of what a machine is sold with.
_WANTED = {Role.MASTER: (2, 2048), Role.WORKER: (2, 4096)}
_TOLERANCE = 0.85
MIN_KERNEL = "3.10"


def host_facts(cluster: Cluster, node: Node, profile: Profile, enrolment: Enrolment) -> Mapping[str, str]:
    """The keys of node.conf (docs/node.md) that concern the machine and its way to the coordinator."""
    cpus, memory = _minimum(node)
    return {
        "CLUSTER": cluster.metadata.name,
        "NODE": node.name,
        "GENERATION": str(enrolment.generation),
        "ROLES": " ".join(roles(node)),
        "FIRST_MASTER": cluster.first_master.name,
        "ADDRESS": str(node.address),
        "MACS": " ".join(node.all_macs),
        "COORDINATORS": " ".join(cluster.coordinator.all_urls),
        "SEED_TIME": str(int(enrolment.created_at.timestamp())),
        "STAGES": " ".join(plan_stages([node])),
        "SKIP_STAGES": " ".join(cluster.bootstrap.skip_stages),
        "OS_ID": profile.os_id,
        "OS_VERSION": profile.os_version,
        "ARCH": " ".join(profile.arches),
        "PACKAGE_MANAGER": profile.package_manager.value,
        "MIN_CPUS": str(cpus),
        "MIN_MEMORY_MIB": str(memory),
        "MIN_KERNEL": MIN_KERNEL,
        "TIMEZONE": node.timezone,
        "NTP_SERVERS": " ".join(node.ntp),
        "DISABLE_FIREWALL": "1" if node.disable_firewall and node.firewall is None else "",
        "KERNEL_PACKAGES": " ".join(profile.packages.kernel[node.arch]) if node.upgrade_kernel else "",
        **_proxy_facts(cluster),
    }


def plan_stages(nodes: Iterable[Node]) -> tuple[str, ...]:
    """The stages that these nodes go through, in order; one without a kernel to upgrade never hears of that stage."""
    upgrades = any(node.upgrade_kernel for node in nodes)
    return tuple(stage.value for stage in Stage if upgrades or stage is not Stage.KERNEL)


def roles(node: Node) -> tuple[str, ...]:
    """The node's roles, sorted, each once."""
    return tuple(sorted({role.value for role in node.roles}))


def _proxy_facts(cluster: Cluster) -> Mapping[str, str]:
    proxy = cluster.packages.proxy
    wanted = bool(proxy.http or proxy.https)
    return {
        "HTTP_PROXY": proxy.http or "",
        "HTTPS_PROXY": proxy.https or "",
        "NO_PROXY": ",".join(proxy.no_proxy) if wanted else "",
    }


def _minimum(node: Node) -> tuple[int, int]:
    """CPUs and MiB that the node must have; 0 where nothing is checked."""
    wanted = [_WANTED[role] for role in node.roles if role in _WANTED] if node.check_resources else []
    cpus = max((cpus for cpus, _ in wanted), default=0)
    return cpus, int(max((memory for _, memory in wanted), default=0) * _TOLERANCE)
