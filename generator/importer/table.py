"""Knows where each of kubeadm-ha's variables is in the spec, and why some are nowhere. docs/kubeadm-ha.md shows it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from generator.importer import reading as read


class Carried(NamedTuple):
    """A variable with a place: its value goes to `path`, or to each of several. `read` None: a rule decides."""

    name: str
    path: str
    read: Callable[[Any], Any] | None = None


class Left(NamedTuple):
    """A variable without a place. `unsafe`: its default is a hole, so that it is told even when nobody set it."""

    name: str
    why: str
    unsafe: str = ""


_COMPONENTS = (("apiserver", "apiServer"), ("controller", "controllerManager"), ("scheduler", "scheduler"))
_CONTAINERD = (
    ("containerd_state_dir", "stateDir", read.text),
    ("containerd_oom_score", "oomScore", read.whole),
    ("containerd_grpc_max_recv_message_size", "grpcMaxRecvMessageSize", read.whole),
    ("containerd_grpc_max_send_message_size", "grpcMaxSendMessageSize", read.whole),
    ("containerd_debug_level", "logLevel", read.text),
    ("containerd_metrics_address", "metricsAddress", read.text),
    ("containerd_metrics_grpc_histogram", "metricsGrpcHistogram", read.flag),
    ("containerd_max_container_log_line_size", "maxContainerLogLineSize", read.whole),
    ("containerd_default_runtime", "defaultRuntime", read.text),
    ("containerd_snapshotter", "snapshotter", read.text),
)
_EVICTION = ("imagefs.available", "memory.available", "nodefs.available", "nodefs.inodesFree")

CARRIED: tuple[Carried, ...] = (
    Carried("kube_version", "kubernetes.version", read.text),
    Carried("kube_image_repository", "kubernetes.imageRepository", read.text),
    Carried("pod_infra_container_image", "kubernetes.images.pause"),
    Carried("etcd_image", "kubernetes.images.etcd"),
    Carried("kube_dns_domain", "kubernetes.clusterDomain", read.text),
    Carried("kube_proxy_mode", "kubernetes.proxyMode", read.text),
    Carried("kube_max_pods", "kubernetes.maxPods", read.whole),
    Carried("kube_service_node_port_range", "kubernetes.nodePortRange", read.text),
    Carried("kube_ca_certs_expired", "kubernetes.certificateValidity.ca"),
    Carried("etcd_ca_certs_expired", "kubernetes.certificateValidity.ca"),
    Carried("kube_certs_expired", "kubernetes.certificateValidity.leaf"),
    Carried("etcd_certs_expired", "kubernetes.certificateValidity.leaf"),
    Carried("kube_master_external_ip", "kubernetes.certSANs"),
    Carried("kube_master_external_domain", "kubernetes.certSANs"),
    Carried("kube_encryption_algorithm", "kubernetes.secretsEncryption.algorithm", read.text),
    Carried("kubernetes_audit", "kubernetes.audit.enabled", read.flag),
    Carried("audit_log_hostpath", "kubernetes.audit.directory", read.text),
    Carried("audit_log_maxage", "kubernetes.audit.maxAge", read.whole),
    Carried("audit_log_maxbackups", "kubernetes.audit.maxBackups", read.whole),
    Carried("audit_log_maxsize", "kubernetes.audit.maxSize", read.whole),
    Carried("kube_apiserver_enable_admission_plugins", "kubernetes.admissionPlugins.enable", read.words),
    Carried("kube_apiserver_disable_admission_plugins", "kubernetes.admissionPlugins.disable", read.words),
    *(
        Carried(f"kube_kubeadm_{name}_extra_args", f"kubernetes.{key}.extraArgs", read.arguments)
        for name, key in _COMPONENTS
    ),
    *(
        Carried(
            f"{name.replace('controller', 'controller_manager')}_extra_volumes",
            f"kubernetes.{key}.extraVolumes",
            read.volumes,
        )
        for name, key in _COMPONENTS
    ),
    Carried(
        "kube_controller_node_monitor_grace_period", "kubernetes.controllerManager.nodeMonitorGracePeriod", read.text
    ),
    Carried("kube_controller_node_monitor_period", "kubernetes.controllerManager.nodeMonitorPeriod", read.text),
    Carried(
        "kube_controller_terminated_pod_gc_threshold",
        "kubernetes.controllerManager.terminatedPodGCThreshold",
        read.whole,
    ),
    Carried("kubelet_root_dir", "kubernetes.kubelet.rootDir", read.text),
    Carried("kube_cpu_reserved", "kubernetes.kubelet.reserved.kube.cpu", read.text),
    Carried("kube_memory_reserved", "kubernetes.kubelet.reserved.kube.memory", read.text),
    Carried("system_reserved_enabled", "kubernetes.kubelet.reserved.system.enabled", read.flag),
    Carried("system_cpu_reserved", "kubernetes.kubelet.reserved.system.cpu", read.text),
    Carried("system_memory_reserved", "kubernetes.kubelet.reserved.system.memory", read.text),
    Carried("system_ephemeral_storage_reserved", "kubernetes.kubelet.reserved.system.ephemeralStorage", read.text),
    *(
        Carried(
            f"eviction_hard_{signal.replace('.', '_').replace('inodesFree', 'inodes_free')}",
            f"kubernetes.kubelet.evictionHard|{signal}",
            read.text,
        )
        for signal in _EVICTION
    ),
    Carried("kube_pod_subnet", "network.podSubnet", read.text),
    Carried("kube_service_subnet", "network.serviceSubnet", read.text),
    Carried("kube_network_node_prefix", "network.nodePrefix", read.whole),
    Carried("network_plugin", "network.plugin"),
    Carried("network_plugins_enabled", "network.plugin"),
    Carried("calico_backend", "network.calico.backend", read.backend),
    Carried("calico_veth_mtu", "network.calico.vethMTU", read.whole),
    Carried("calico_felix_log_level", "network.calico.felixLogLevel", read.text),
    Carried("flannel_backend", "network.flannel.backend", read.text),
    Carried("flannel_enable_nftables", "network.flannel.nftables", read.flag),
    Carried("flannel_image", "network.flannel.image", read.text),
    Carried("flannel_cni_plugin_image", "network.flannel.cniImage", read.text),
    Carried("lb_mode", "loadBalancer.mode, loadBalancer.engine"),
    Carried("lb_kube_apiserver_ip", "loadBalancer.vip, loadBalancer.address"),
    Carried("lb_kube_apiserver_port", "loadBalancer.port", read.whole),
    Carried("lb_kube_apiserver_healthcheck_port", "loadBalancer.healthPort", read.whole),
    Carried("lb_haproxy_stats_bind_address", "loadBalancer.statsPort", read.whole),
    Carried("lb_haproxy_balance_alg", "loadBalancer.balance", read.text),
    Carried("lb_keepalived_router_id", "loadBalancer.keepalived.routerId", read.whole),
    Carried("lb_keepalived_password", "loadBalancer.keepalived.password"),
    Carried("etcd_data_dir", "etcd.dataDir", read.text),
    Carried("etcd_backup_hour", "etcd.backup.hour", read.whole),
    Carried("etcd_backup_expiry", "etcd.backup.keepDays", read.whole),
    Carried("container_manager", "engine.name", read.text),
    Carried("containerd_version", "engine.version"),
    Carried("docker_version", "engine.version"),
    Carried("containerd_storage_dir", "engine.dataDir"),
    Carried("docker_storage_dir", "engine.dataDir"),
    Carried("containerd_registries", "engine.registries"),
    Carried("docker_mirror", "engine.registries"),
    Carried("docker_insecure_registries", "engine.insecureRegistries"),
    *(Carried(name, f"engine.containerd.{key}", reader) for name, key, reader in _CONTAINERD),
    Carried("containerd_runtimes", "engine.containerd.extraConfig"),
    Carried("containerd_extra_args", "engine.containerd.extraConfig"),
    Carried("docker_bip", "engine.docker.bip", read.text),
    Carried("docker_log_driver", "engine.docker.logDriver", read.text),
    Carried("docker_log_level", "engine.docker.logLevel", read.text),
    Carried("docker_log_max_size", "engine.logMaxSize", read.text),
    Carried("docker_log_max_file", "engine.logMaxFiles", read.whole),
    Carried("docker_max_concurrent_downloads", "engine.docker.maxConcurrentDownloads", read.whole),
    Carried("kube_cni_version", "packages.cniVersion", read.text),
    Carried("base_apt_repo", "packages.base", read.apt),
    Carried("base_yum_repo", "packages.base", read.yum),
    Carried("epel_yum_repo", "packages.epel", read.yum),
    Carried("docker_apt_repo", "packages.engine", read.apt),
    Carried("docker_yum_repo", "packages.engine", read.yum),
    Carried("kubernetes_apt_repo", "packages.kubernetes", read.apt),
    Carried("kubernetes_yum_repo", "packages.kubernetes", read.yum),
    Carried("http_proxy", "packages.proxy.http", read.text),
    Carried("https_proxy", "packages.proxy.https", read.text),
    Carried("no_proxy", "packages.proxy.noProxy", read.words),
    Carried("ingress_controller_enabled", "addons.ingress.enabled", read.flag),
    Carried("ingress_controller_tpye", "addons.ingress.controller", read.text),
    Carried("metrics_server_enabled", "addons.metricsServer.enabled", read.flag),
    Carried("kubernetesui_dashboard_enabled", "addons.dashboard.enabled", read.flag),
    Carried("cert_manager_enabled", "addons.certManager.enabled", read.flag),
    Carried("acme_email", "addons.certManager.acmeEmail"),
    Carried("acme_server", "addons.certManager.acmeServer", read.text),
    Carried("timezone", "defaults.timezone", read.text),
    Carried("ntp_server", "defaults.ntp", read.words),
    Carried("firewalld_disabled", "defaults.disableFirewall", read.flag),
    Carried("custom_hosts", "defaults.hosts", read.name_lists),
    Carried("skip_verify_node", "defaults.checkResources", read.opposite),
)

_IMAGE = "the program comes from the operating system's packages, not from an image"
_ADDON = "not yet supported: install it when the cluster is up"
_ADDON_IMAGES = (
    "nginx_ingress_image", "nginx_ingress_webhook_certgen_image", "traefik_ingress_image",
    "kubernetesui_dashboard_image", "kubernetesui_metrics_scraper_image", "metrics_server_image",
    "cert_manager_cainjector_image", "cert_manager_webhook_image", "cert_manager_controller_image",
    "cert_manager_acmesolver_image", "calico_typha_image", "calico_cni_image", "calico_node_image",
    "calico_kube_controllers_image", "calicoctl_image", "calico_ipv4pool_ipip",
)  # fmt: skip

LEFT: tuple[Left, ...] = (
    Left(
        "kubeadm_token", "each node gets a token of its own, valid for 30 minutes", unsafe="a token that everyone knows"
    ),
    Left("kube_encrypt_token", "the key is generated, and never in the spec", unsafe="a key that everyone knows"),
    Left("lb_haproxy_stats_user", "statistics answer on 127.0.0.1 only, and change nothing"),
    Left(
        "lb_haproxy_stats_password",
        "statistics answer on 127.0.0.1 only, and change nothing",
        unsafe="admin/admin on all addresses",
    ),
    Left("lb_haproxy_stats_uri", "statistics are at /stats"),
    Left("lb_haproxy_stats_refresh", "the page does not reload itself"),
    Left("lb_keepalived_priority", "the address moves only when its holder fails, so no node is preferred"),
    *(Left(name, _IMAGE) for name in ("lb_nginx_image", "lb_haproxy_image", "lb_keepalived_image", "chrony_image")),
    Left("chrony_enabled", "clocks are always synchronised, by the host's chrony, before any TLS"),
    Left("nftables_to_iptables", "it has no effect in kubeadm-ha either"),
    Left("restar_container_manager_force", "the engine is restarted whenever its configuration changes"),
    Left("containerd_use_systemd_cgroup", "containers are always in systemd's control groups"),
    Left("kubelet_cgroup_driver", "it is always systemd"),
    Left("containerd_registries_config_dir", "it is always /etc/containerd/certs.d"),
    Left("kube_ephemeral_storage_reserved", "kubeadm-ha does not use it either"),
    Left("audit_policy_file", "the file's place on the masters is always /etc/kubernetes/audit-policy.yaml"),
    Left(
        "audit_policy_custom_rules", "save them as an audit.k8s.io/v1 Policy and name it in kubernetes.audit.policyFile"
    ),
    Left("wait_plugins_ready", "the first master waits for what it installs, and reports it"),
    *(Left(name, _ADDON) for name in _ADDON_IMAGES),
    Left("traefik_certs_expired", "kubeadm-ha does not use it either"),
    Left("kubernetesui_dashboard_certs_expired", _ADDON),
    Left("coredns_image", "kubeadm-ha does not use it either; kubernetes.images.coredns takes a tag"),
    Left("cri_dockerd_download_url", "bring cri-dockerd in the image, or in packages.engine"),
    Left("drain_grace_period", "it belongs to an operation on a running cluster, not to the spec"),
    Left("drain_timeout", "it belongs to an operation on a running cluster, not to the spec"),
    Left("kube_upgrade_version", "it belongs to an operation on a running cluster, not to the spec"),
    *(
        Left(name, "defaults.upgradeKernel takes the newest kernel of the system's own repositories")
        for name in ("kernel_centos", "kernel_ubuntu")
    ),
    Left("linux_base", "it belongs to kubeadm-ha's own kernel packages"),
    Left("libssl", "it belongs to kubeadm-ha's own kernel packages"),
)

# Names that kubeadm-ha misspells, as they should be.
ALSO: Mapping[str, str] = {
    "ingress_controller_type": "ingress_controller_tpye",
    "restart_container_manager_force": "restar_container_manager_force",
}
# Defaults that other values are made of, or that decide what else is in force.
DEFAULTS: Mapping[str, str] = {
    "kube_image_repository": "registry.aliyuncs.com/kubeadm-ha",
    "kube_version": "1.30.5",
    "kube_pod_subnet": "10.244.0.0/18",
    "kube_service_subnet": "10.244.64.0/18",
    "container_manager": "containerd",
    "lb_mode": "nginx",
    "network_plugin": "calico",
}
# Defaults of kubeadm-ha that stand for something of the reader's own, and are never taken over.
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "kube_master_external_ip": ("8.8.8.8",),
    "kube_master_external_domain": ("kubernetes.io",),
    "lb_keepalived_password": ("d0cker",),
    "acme_email": ("yourname@gmail.com",),
}


def names() -> frozenset[str]:
    """Every variable that is known."""
    return frozenset(entry.name for entry in CARRIED) | {entry.name for entry in LEFT}
