"""Knows how a node's kernel and its limits are set: kubeadm-ha's values, and what kubelet insists on."""

from collections.abc import Mapping

from generator.profile import Family, Profile
from generator.spec.cluster import Cluster
from generator.spec.frozenmap import FrozenMap
from generator.spec.kubernetes import ProxyMode

MODULES = ("overlay", "br_netfilter", "nf_conntrack", "ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", "sunrpc")
# One netfilter module per IP version until kernel 4.19.
_OLD_CONNTRACK = "nf_conntrack_ipv4"

MODULE_OPTIONS: Mapping[str, str] = FrozenMap({
    "nf_conntrack": "hashsize=131072",
    "sunrpc": "tcp_slot_table_entries=128 tcp_max_slot_table_entries=128",
})  # fmt: skip

# systemd-system.conf(5)
LIMITS: Mapping[str, str] = FrozenMap({
    "DefaultLimitCORE": "infinity", "DefaultLimitNOFILE": "100000", "DefaultLimitNPROC": "100000",
})  # fmt: skip

_SYSCTLS = {
    "vm.swappiness": "0",
    "vm.overcommit_memory": "1",
    "vm.max_map_count": "655360",
    "kernel.panic": "10",
    "kernel.panic_on_oops": "1",
    "fs.file-max": "6553600",
    "fs.nr_open": "6553600",
    "fs.inotify.max_user_watches": "1048576",
    "fs.inotify.max_user_instances": "1048576",
    "fs.inotify.max_queued_events": "1048576",
    "fs.pipe-user-pages-soft": "102400",
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
    "net.bridge.bridge-nf-call-arptables": "1",
    "net.core.somaxconn": "32768",
    "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv4.conf.all.arp_announce": "2",
    "net.ipv4.conf.default.arp_announce": "2",
    "net.ipv4.conf.lo.arp_announce": "2",
    "net.ipv4.neigh.default.gc_stale_time": "120",
    "net.ipv4.tcp_max_syn_backlog": "1024",
    "net.ipv4.tcp_max_tw_buckets": "5000",
    "net.ipv4.tcp_syncookies": "1",
    "net.ipv4.tcp_synack_retries": "2",
    "net.ipv4.tcp_tw_reuse": "0",
    "net.netfilter.nf_conntrack_max": "524288",
}
_IPV6 = {"net.ipv6.conf.all.forwarding": "1"}
# Connections through a virtual server are cut after 15 idle minutes; keep-alives come before that.
_IPVS = {
    "net.ipv4.tcp_keepalive_time": "600",
    "net.ipv4.tcp_keepalive_intvl": "30",
    "net.ipv4.tcp_keepalive_probes": "10",
}
# With protectKernelDefaults the kubelet compares these too (kubelet, setupKernelTunables).
_KUBELET = {"vm.panic_on_oom": "0", "kernel.keys.root_maxkeys": "1000000", "kernel.keys.root_maxbytes": "25000000"}
_OLD_KERNEL = {"net.ipv4.tcp_tw_recycle": "0"}  # gone since 4.12; breaks clients behind NAT


def plan_sysctls(cluster: Cluster, profile: Profile) -> Mapping[str, str]:
    """sysctl.d(5) keys and values of every node of this release."""
    return {
        **_SYSCTLS,
        **(_IPV6 if cluster.network.pod_subnet.version == 6 else {}),
        **(_IPVS if cluster.kubernetes.proxy_mode is ProxyMode.IPVS else {}),
        **(_KUBELET if cluster.kubernetes.kubelet.protect_kernel_defaults else {}),
        **(_OLD_KERNEL if _kernel_is_old(profile) else {}),
    }


def plan_modules(profile: Profile) -> tuple[str, ...]:
    """Kernel modules to load at boot; systemd complains about one that the kernel does not have."""
    return (*MODULES, _OLD_CONNTRACK) if _kernel_is_old(profile) else MODULES


def _kernel_is_old(profile: Profile) -> bool:
    """Whether the release has kernel 3.10."""
    return profile.family is Family.RHEL and profile.os_version.partition(".")[0] == "7"
