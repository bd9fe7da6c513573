"""Each of kubeadm-ha's variables, set in its own file to a value that is not the default, arrives in some artefact.

The whole road: variables.yaml -> import -> spec -> validate -> generate. A variable that the table forgets fails here.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from generator.bundle import renew_bundle
from generator.files import Inputs, render_files
from generator.importer import Frame, Imported, import_spec
from generator.importer.table import CARRIED, LEFT, names
from generator.mirror import load_mirrors
from generator.parse import parse_cluster
from generator.parse.preset import apply_preset
from generator.profile import load_profiles
from generator.scripts import load_scripts
from tests.fixed import NOW, fixed_random
from tests.unit.test_kubeadm_ha_variables import CASES

PROFILES, MIRRORS, SCRIPTS = load_profiles(), load_mirrors(), load_scripts()
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "kubeadm-ha" / "variables.yaml"
HOSTS = """\
[all]
m1 ansible_host=192.168.56.11
w1 ansible_host=192.168.56.14
[etcd]
m1
[kube-master]
m1
[kube-worker]
w1
"""
# The variables of kubeadm-ha's example/variables.yaml, in its order; compared with the file where it is at hand.
OWN = [
    "skip_verify_node", "http_proxy", "https_proxy", "no_proxy", "firewalld_disabled", "timezone", "chrony_enabled",
    "ntp_server", "chrony_image", "base_yum_repo", "epel_yum_repo", "docker_yum_repo", "kubernetes_yum_repo",
    "base_apt_repo", "docker_apt_repo", "kubernetes_apt_repo", "custom_hosts", "nftables_to_iptables",
    "container_manager", "restar_container_manager_force", "docker_version", "containerd_version",
    "containerd_storage_dir", "containerd_state_dir", "containerd_oom_score",
    "containerd_grpc_max_recv_message_size", "containerd_grpc_max_send_message_size", "containerd_debug_level",
    "containerd_metrics_address", "containerd_metrics_grpc_histogram", "containerd_max_container_log_line_size",
    "containerd_default_runtime", "containerd_snapshotter", "containerd_runtimes", "containerd_use_systemd_cgroup",
    "containerd_registries_config_dir", "containerd_registries", "containerd_extra_args", "docker_mirror",
    "docker_insecure_registries", "docker_log_driver", "docker_log_level", "docker_log_max_size",
    "docker_log_max_file", "docker_storage_dir", "docker_bip", "docker_max_concurrent_downloads", "lb_mode",
    "lb_kube_apiserver_ip", "lb_kube_apiserver_port", "lb_kube_apiserver_healthcheck_port", "kube_image_repository",
    "lb_nginx_image", "lb_haproxy_image", "lb_haproxy_stats_bind_address", "lb_haproxy_stats_uri",
    "lb_haproxy_stats_refresh", "lb_haproxy_stats_user", "lb_haproxy_stats_password", "lb_haproxy_balance_alg",
    "lb_keepalived_image", "lb_keepalived_password", "lb_keepalived_router_id", "etcd_certs_expired",
    "etcd_ca_certs_expired", "etcd_image", "etcd_data_dir", "etcd_backup_hour", "etcd_backup_expiry",
    "kube_certs_expired", "kube_ca_certs_expired", "kubeadm_token", "kube_master_external_ip",
    "kube_master_external_domain", "pod_infra_container_image", "kube_version", "kube_cni_version",
    "kube_dns_domain", "kube_pod_subnet", "kube_service_subnet", "kube_network_node_prefix", "kube_max_pods",
    "kube_service_node_port_range", "eviction_hard_imagefs_available", "eviction_hard_memory_available",
    "eviction_hard_nodefs_available", "eviction_hard_nodefs_inodes_free", "kube_cpu_reserved",
    "kube_memory_reserved", "kube_ephemeral_storage_reserved", "system_reserved_enabled", "system_cpu_reserved",
    "system_memory_reserved", "system_ephemeral_storage_reserved", "kube_proxy_mode", "kubelet_root_dir",
    "kube_encryption_algorithm", "kube_encrypt_token", "kubernetes_audit", "audit_log_maxage",
    "audit_log_maxbackups", "audit_log_maxsize", "audit_log_hostpath", "audit_policy_file",
    "audit_policy_custom_rules", "kube_apiserver_enable_admission_plugins",
    "kube_apiserver_disable_admission_plugins", "kube_controller_node_monitor_grace_period",
    "kube_controller_node_monitor_period", "kube_controller_terminated_pod_gc_threshold",
    "kube_kubeadm_apiserver_extra_args", "kube_kubeadm_controller_extra_args", "kube_kubeadm_scheduler_extra_args",
    "apiserver_extra_volumes", "controller_manager_extra_volumes", "scheduler_extra_volumes", "wait_plugins_ready",
    "network_plugins_enabled", "network_plugin", "calico_backend", "calico_veth_mtu", "calico_typha_image",
    "calico_cni_image", "calico_node_image", "calico_kube_controllers_image", "calico_felix_log_level",
    "calicoctl_image", "flannel_backend", "flannel_enable_nftables", "flannel_image", "flannel_cni_plugin_image",
    "ingress_controller_enabled", "ingress_controller_tpye", "nginx_ingress_image",
    "nginx_ingress_webhook_certgen_image", "traefik_certs_expired", "traefik_ingress_image",
    "kubernetesui_dashboard_enabled", "kubernetesui_dashboard_certs_expired", "kubernetesui_dashboard_image",
    "kubernetesui_metrics_scraper_image", "metrics_server_enabled", "metrics_server_image", "cert_manager_enabled",
    "acme_email", "acme_server", "cert_manager_cainjector_image", "cert_manager_webhook_image",
    "cert_manager_controller_image", "cert_manager_acmesolver_image",
]  # fmt: skip
# What the spec has a place for and this release refuses (check/unsupported.py): it reaches no artefact yet.
NOT_YET = {
    "calico_backend", "calico_veth_mtu", "calico_felix_log_level", "ingress_controller_enabled",
    "ingress_controller_tpye", "metrics_server_enabled", "kubernetesui_dashboard_enabled", "cert_manager_enabled",
    "acme_email", "acme_server",
}  # fmt: skip


class Sample(NamedTuple):
    """A value that is not the default, what then stands in an artefact, and what else has to be set for it."""

    value: Any
    words: str
    needs: Mapping[str, Any] = {}
    hosts: str = HOSTS
    os: str = "debian-12"


DOCKER = {"container_manager": "docker"}
HAPROXY = {"lb_mode": "haproxy"}
AUDIT = {"kubernetes_audit": True}
SYSTEM = {"system_reserved_enabled": True}
VIP = {"lb_kube_apiserver_ip": "192.168.56.10"}
BALANCERS = HOSTS + "[lb]\nm1\nw1\n"
VOLUME = [{"name": "v", "hostPath": "/host/v", "mountPath": "/v", "readOnly": True}]
KATA = [{"name": "kata", "type": "io.containerd.kata.v2", "engine": "", "root": "", "options": {}}]
SAMPLES: dict[str, Sample] = {
    "skip_verify_node": Sample(True, "MIN_CPUS='0'"),
    "http_proxy": Sample("http://p.example:3128", "HTTP_PROXY=http://p.example:3128"),
    "https_proxy": Sample("http://q.example:3128", "HTTPS_PROXY=http://q.example:3128"),
    "no_proxy": Sample("10.0.0.0/8,.corp.example", "10.0.0.0/8,.corp.example", {"http_proxy": "http://p.example:3128"}),
    "firewalld_disabled": Sample(False, "DISABLE_FIREWALL=''"),
    "timezone": Sample("Europe/Berlin", "Europe/Berlin"),
    "ntp_server": Sample("ntp.corp.example", "server ntp.corp.example"),
    "base_yum_repo": Sample("https://d.example/$releasever/", "baseurl=https://d.example/$releasever", os="rocky-9"),
    "epel_yum_repo": Sample("https://e.example/$releasever/", "baseurl=https://e.example/$releasever", os="rocky-9"),
    "docker_yum_repo": Sample(
        "https://f.example/{{ ansible_distribution_major_version }}/stable",
        "baseurl=https://f.example/$releasever/stable",
        os="rocky-9",
    ),
    "kubernetes_yum_repo": Sample("http://g.example/rpm", "baseurl=https://g.example/rpm", os="rocky-9"),
    "base_apt_repo": Sample(
        "deb http://a.example/{{ host_distribution | lower }}/ {{ host_distribution_release }} main contrib",
        "http://a.example/debian/ bookworm main contrib",
    ),
    "docker_apt_repo": Sample(
        "deb [arch={{ host_architecture }}] https://b.example {{ host_distribution_release }} stable",
        "https://b.example bookworm stable",
    ),
    "kubernetes_apt_repo": Sample(
        "deb https://c.example/v{{ kube_version.split('.')[0:2] | join('.') }}/deb/ /", "https://c.example/v1.30/deb/ /"
    ),
    "custom_hosts": Sample({"10.9.9.9": ["nas.example", "nas"]}, "10.9.9.9 nas.example nas"),
    "container_manager": Sample("docker", "ENGINE='docker'"),
    "docker_version": Sample("24.0.7", "ENGINE_VERSION='24.0.7'", DOCKER),
    "containerd_version": Sample("1.7.2-1", "ENGINE_VERSION='1.7.2-1'"),
    "containerd_storage_dir": Sample("/data/c", 'root = "/data/c"'),
    "containerd_state_dir": Sample("/run/c", 'state = "/run/c"'),
    "containerd_oom_score": Sample(-5, "oom_score = -5"),
    "containerd_grpc_max_recv_message_size": Sample(17, "max_recv_message_size = 17"),
    "containerd_grpc_max_send_message_size": Sample(18, "max_send_message_size = 18"),
    "containerd_debug_level": Sample("debug", 'level = "debug"'),
    "containerd_metrics_address": Sample("127.0.0.1:1338", 'address = "127.0.0.1:1338"'),
    "containerd_metrics_grpc_histogram": Sample(True, "grpc_histogram = true"),
    "containerd_max_container_log_line_size": Sample(19, "max_container_log_line_size = 19"),
    "containerd_default_runtime": Sample("kata", 'default_runtime_name = "kata"'),
    "containerd_snapshotter": Sample("zfs", 'snapshotter = "zfs"'),
    "containerd_runtimes": Sample(KATA, 'runtime_type = "io.containerd.kata.v2"'),
    "containerd_registries": Sample({"quay.io": "https://quay.example"}, '[host."https://quay.example"]'),
    "containerd_extra_args": Sample("[timeouts]\nx = '1s'\n", '[timeouts]\nx = "1s"'),
    "docker_mirror": Sample(["https://hub.example"], "https://hub.example", DOCKER),
    "docker_insecure_registries": Sample(["r.example:5000"], "r.example:5000", DOCKER),
    "docker_log_driver": Sample("local", '"log-driver": "local"', DOCKER),
    "docker_log_level": Sample("error", '"log-level": "error"', DOCKER),
    "docker_log_max_size": Sample("7m", '"max-size": "7m"', DOCKER),
    "docker_log_max_file": Sample(3, '"max-file": "3"', DOCKER),
    "docker_storage_dir": Sample("/data/d", '"data-root": "/data/d"', DOCKER),
    "docker_bip": Sample("10.99.0.1/24", '"bip": "10.99.0.1/24"', DOCKER),
    "docker_max_concurrent_downloads": Sample(4, '"max-concurrent-downloads": 4', DOCKER),
    "lb_mode": Sample("haproxy", "LB_ENGINE='haproxy'"),
    "lb_kube_apiserver_ip": Sample("192.168.56.10", "192.168.56.10/32", hosts=BALANCERS),
    "lb_kube_apiserver_port": Sample("9443", "listen 127.0.0.1:9443;"),
    "lb_kube_apiserver_healthcheck_port": Sample(8082, "listen 127.0.0.1:8082;"),
    "lb_haproxy_stats_bind_address": Sample(9091, "bind 127.0.0.1:9091", HAPROXY),
    "lb_haproxy_balance_alg": Sample("roundrobin", "balance roundrobin", HAPROXY),
    "lb_keepalived_password": Sample("own-pass", "auth_pass own-pass", VIP, BALANCERS),
    "lb_keepalived_router_id": Sample(77, "virtual_router_id 77", VIP, BALANCERS),
    "kube_image_repository": Sample("r.example/k", "imageRepository: r.example/k"),
    "etcd_certs_expired": Sample(30, '"days": 30'),
    "etcd_ca_certs_expired": Sample(5000, '"caDays": 5000'),
    "etcd_image": Sample("{{ kube_image_repository }}/etcd:3.5.9-0", "kubeadm-ha/etcd:3.5.9-0"),
    "etcd_data_dir": Sample("/data/etcd", "data-dir: /data/etcd"),
    "etcd_backup_hour": Sample("5", "BACKUP_HOUR='5'"),
    "etcd_backup_expiry": Sample("9", "BACKUP_KEEP_DAYS='9'"),
    "kube_certs_expired": Sample(31, '"days": 31'),
    "kube_ca_certs_expired": Sample(4000, '"caDays": 4000'),
    "kube_master_external_ip": Sample(["8.8.8.8", "203.0.113.8"], "IP:203.0.113.8"),
    "kube_master_external_domain": Sample(["api.example.org"], "DNS:api.example.org"),
    "pod_infra_container_image": Sample("{{ kube_image_repository }}/pause:3.8", "kubeadm-ha/pause:3.8"),
    "kube_version": Sample("1.29.9", "kubernetesVersion: v1.29.9"),
    "kube_cni_version": Sample("1.5.0", "CNI_VERSION='1.5.0'"),
    "kube_dns_domain": Sample("k.example", "dnsDomain: k.example"),
    "kube_pod_subnet": Sample("10.4.0.0/16", "podSubnet: '10.4.0.0/16'"),
    "kube_service_subnet": Sample("10.5.0.0/16", "serviceSubnet: '10.5.0.0/16'"),
    "kube_network_node_prefix": Sample("25", "node-cidr-mask-size: '25'"),
    "kube_max_pods": Sample("99", "maxPods: 99"),
    "kube_service_node_port_range": Sample("20000-20100", "port-range: '20000-20100'"),
    "eviction_hard_imagefs_available": Sample("7%", "imagefs.available: '7%'"),
    "eviction_hard_memory_available": Sample("70Mi", "memory.available: '70Mi'"),
    "eviction_hard_nodefs_available": Sample("7%", "nodefs.available: '7%'"),
    "eviction_hard_nodefs_inodes_free": Sample("7%", "nodefs.inodesFree: '7%'"),
    "kube_cpu_reserved": Sample("150m", "cpu: '150m'"),
    "kube_memory_reserved": Sample("300M", "memory: '300M'"),
    "system_reserved_enabled": Sample(True, "systemReserved:"),
    "system_cpu_reserved": Sample("250m", "cpu: '250m'", SYSTEM),
    "system_memory_reserved": Sample("700M", "memory: '700M'", SYSTEM),
    "system_ephemeral_storage_reserved": Sample("9G", "ephemeral-storage: '9G'", SYSTEM),
    "kube_proxy_mode": Sample("ipvs", "mode: ipvs"),
    "kubelet_root_dir": Sample("/data/kubelet", "root-dir: /data/kubelet"),
    "kube_encryption_algorithm": Sample("secretbox", '"encryption": "secretbox"'),
    "kubernetes_audit": Sample("yes", "kind: Policy"),
    "audit_log_maxage": Sample(3, "audit-log-maxage: '3'", AUDIT),
    "audit_log_maxbackups": Sample(4, "audit-log-maxbackup: '4'", AUDIT),
    "audit_log_maxsize": Sample(5, "audit-log-maxsize: '5'", AUDIT),
    "audit_log_hostpath": Sample("/data/audit", "audit-log-path: /data/audit/audit.log", AUDIT),
    "kube_apiserver_enable_admission_plugins": Sample(
        ["NodeRestriction", "AlwaysPullImages"], "NodeRestriction,AlwaysPullImages"
    ),
    "kube_apiserver_disable_admission_plugins": Sample(["DefaultIngressClass"], "DefaultIngressClass"),
    "kube_controller_node_monitor_grace_period": Sample("41s", "node-monitor-grace-period: '41s'"),
    "kube_controller_node_monitor_period": Sample("6s", "node-monitor-period: '6s'"),
    "kube_controller_terminated_pod_gc_threshold": Sample(11, "terminated-pod-gc-threshold: '11'"),
    "kube_kubeadm_apiserver_extra_args": Sample({"runtime-config": "api/all=true"}, "runtime-config: api/all=true"),
    "kube_kubeadm_controller_extra_args": Sample({"v": 6}, "v: '6'"),
    "kube_kubeadm_scheduler_extra_args": Sample({"v": 7}, "v: '7'"),
    "apiserver_extra_volumes": Sample(VOLUME, "mountPath: /v"),
    "controller_manager_extra_volumes": Sample(VOLUME, "mountPath: /v"),
    "scheduler_extra_volumes": Sample(VOLUME, "mountPath: /v"),
    "network_plugins_enabled": Sample(False, "NETWORK_PLUGIN='none'"),
    "network_plugin": Sample("none", "NETWORK_PLUGIN='none'"),
    "flannel_backend": Sample("host-gw", '"Type": "host-gw"'),
    "flannel_enable_nftables": Sample(True, '"EnableNFTables": true'),
    "flannel_image": Sample("r.example/f:1", "image: r.example/f:1"),
    "flannel_cni_plugin_image": Sample("r.example/p:1", "image: r.example/p:1"),
}


def imported(variables: Mapping[str, Any], hosts: str = HOSTS, os: str = "debian-12") -> Imported:
    frame = Frame("prod", os, "https://192.168.56.2:8443")
    content = yaml.safe_dump(dict(variables)).encode() if variables else b"# nothing\n"
    return import_spec(hosts, ("variables.yaml", content), PROFILES[os], frame, file="hosts.ini")


def artefacts(variables: Mapping[str, Any], hosts: str, os: str) -> dict[str, str]:
    """Everything that `generate` writes for the imported spec and that is text, by its path."""
    cluster, _ = parse_cluster(imported(variables, hosts, os).text, PROFILES)
    cluster = apply_preset(cluster, MIRRORS[cluster.packages.preset])
    nodes = [node.name for node in cluster.nodes]
    bundle = renew_bundle(None, "prod", nodes, now=NOW, random=fixed_random())
    inputs = Inputs(cluster, "0" * 64, PROFILES, MIRRORS, bundle, SCRIPTS)
    skip = (".gz", ".tar")
    return {found.path: found.data.decode() for found in render_files(inputs) if not found.path.endswith(skip)}


@cache
def without(needs: tuple[tuple[str, Any], ...], hosts: str, os: str) -> Mapping[str, str]:
    return artefacts(dict(needs), hosts, os)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_variable_set_to_another_value_arrives_in_some_artefact(name: str) -> None:
    sample = SAMPLES[name]
    before = without(tuple(sample.needs.items()), sample.hosts, sample.os)
    after = artefacts({**sample.needs, name: sample.value}, sample.hosts, sample.os)
    changed = [text for path, text in after.items() if before.get(path) != text]
    assert any(sample.words in text for text in changed), f"{name} reaches no artefact"


def test_every_variable_has_a_place_or_a_reason() -> None:
    assert set(OWN) <= names()
    assert {entry.name for entry in CARRIED} == SAMPLES.keys() | NOT_YET
    assert all(entry.why for entry in LEFT)
    assert not {entry.name for entry in LEFT} & {entry.name for entry in CARRIED}


def test_the_table_of_the_spec_knows_them_too() -> None:
    """Of every variable with a place the other test shows where it arrives, from the spec on."""
    elsewhere = {
        "skip_verify_node", "timezone", "ntp_server", "firewalld_disabled", "custom_hosts", "epel_yum_repo",
        "etcd_backup_hour", "etcd_backup_expiry", "network_plugins_enabled",
    }  # fmt: skip
    assert SAMPLES.keys() - {case.variable for case in CASES} == elsewhere


def test_the_list_is_that_of_kubeadm_ha() -> None:
    if not SHARED.exists():
        pytest.skip(f"kubeadm-ha's own file is not at hand: {SHARED}")
    found = re.findall(r"^# ([a-z_]+):", SHARED.read_text(), re.MULTILINE)
    assert list(dict.fromkeys(found)) == OWN
