"""kubeadm-ha's variables for Kubernetes, engine, balancer and etcd: each, set to a value of its own, reaches a node."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import pytest

from generator.mirror import Mirror, load_mirrors
from generator.plan.certificates import inventory_certificates
from generator.plan.filesets import plan_filesets
from generator.plan.inventory import inventory_cluster
from generator.plan.kubernetes import kubernetes_facts
from generator.profile import Profile, load_profiles
from generator.render.dump import dump_json
from generator.render.filesets import Subject, render_fileset
from generator.secret import Secret
from generator.spec.cluster import Cluster
from tests.example import NODES, example, with_node

VIP = {"mode": "vip", "vip": "192.168.77.10"}
LB_NODES = [{**node, "roles": [*node["roles"], "lb"]} for node in NODES[:2]] + NODES[2:]


class Case(NamedTuple):
    """`sections` of the spec, and what must then stand in which file (node.conf and inventory.json among them)."""

    variable: str
    sections: dict[str, Any]
    file: str
    words: str


def kubernetes(**section: Any) -> dict[str, Any]:
    return {"kubernetes": section}


def containerd(**section: Any) -> dict[str, Any]:
    return {"engine": {"containerd": section}}


def docker(**section: Any) -> dict[str, Any]:
    return {"engine": {"name": "docker", "docker": section}}


def balancer(**section: Any) -> dict[str, Any]:
    return {"loadBalancer": section}


def network(**section: Any) -> dict[str, Any]:
    return {"network": section}


def source(name: str, **section: Any) -> dict[str, Any]:
    return {"packages": {name: section}}


def reserved(**system: Any) -> dict[str, Any]:
    return kubernetes(kubelet={"reserved": {"system": {"enabled": True, **system}}})


INIT, TOML, DOCKER, CONF, INVENTORY = (
    "kubeadm-init.yaml",
    "containerd.toml",
    "docker.json",
    "node.conf",
    "inventory.json",
)
NGINX, HAPROXY, KEEPALIVED = "nginx.conf", "haproxy.cfg", "keepalived.conf"
HAPROXY_MODE = {"engine": "haproxy"}
CASES = [
    # packages and proxy
    Case(
        "http_proxy",
        {"packages": {"proxy": {"http": "http://p:3128"}}},
        "engine-proxy.conf",
        "HTTP_PROXY=http://p:3128",
    ),
    Case(
        "https_proxy", {"packages": {"proxy": {"https": "http://q:1"}}}, "engine-proxy.conf", "HTTPS_PROXY=http://q:1"
    ),
    Case(
        "no_proxy",
        {"packages": {"proxy": {"http": "http://p:3128", "noProxy": [".corp"]}}},
        "engine-proxy.conf",
        'NO_PROXY=.corp"',
    ),
    Case("base_apt_repo", source("base", apt="https://a.example"), "packages.apt", "https://a.example bookworm main"),
    Case(
        "docker_apt_repo",
        source("engine", apt="https://b.example"),
        "packages.apt",
        "https://b.example bookworm stable",
    ),
    Case("kubernetes_apt_repo", source("kubernetes", apt="https://c.example"), "packages.apt", "] https://c.example /"),
    Case("base_yum_repo", source("base", yum="https://d.example"), "packages.rpm", "baseurl=https://d.example"),
    Case("docker_yum_repo", source("engine", yum="https://e.example"), "packages.rpm", "baseurl=https://e.example"),
    Case(
        "kubernetes_yum_repo",
        source("kubernetes", yum="https://f.example"),
        "packages.rpm",
        "baseurl=https://f.example",
    ),
    # engine
    Case("container_manager", {"engine": {"name": "docker"}}, CONF, "ENGINE=docker"),
    Case("containerd_version", {"engine": {"version": "1.6.20-1"}}, CONF, "ENGINE_VERSION=1.6.20-1"),
    Case("docker_version", {"engine": {"name": "docker", "version": "20.10.24"}}, CONF, "ENGINE_VERSION=20.10.24"),
    Case("containerd_storage_dir", {"engine": {"dataDir": "/data/c"}}, TOML, 'root = "/data/c"'),
    Case("containerd_state_dir", containerd(stateDir="/run/c"), TOML, 'state = "/run/c"'),
    Case("containerd_oom_score", containerd(oomScore=-5), TOML, "oom_score = -5"),
    Case(
        "containerd_grpc_max_recv_message_size", containerd(grpcMaxRecvMessageSize=7), TOML, "max_recv_message_size = 7"
    ),
    Case(
        "containerd_grpc_max_send_message_size", containerd(grpcMaxSendMessageSize=8), TOML, "max_send_message_size = 8"
    ),
    Case("containerd_debug_level", containerd(logLevel="debug"), TOML, 'level = "debug"'),
    Case("containerd_metrics_address", containerd(metricsAddress="127.0.0.1:1338"), TOML, 'address = "127.0.0.1:1338"'),
    Case("containerd_metrics_grpc_histogram", containerd(metricsGrpcHistogram=True), TOML, "grpc_histogram = true"),
    Case("containerd_max_container_log_line_size", containerd(maxContainerLogLineSize=9), TOML, "log_line_size = 9"),
    Case("containerd_default_runtime", containerd(defaultRuntime="kata"), TOML, 'default_runtime_name = "kata"'),
    Case("containerd_snapshotter", containerd(snapshotter="zfs"), TOML, 'snapshotter = "zfs"'),
    Case(
        "containerd_runtimes",
        containerd(extraConfig='[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.kata]\nruntime_type = "k"'),
        TOML,
        'containerd.runtimes.kata]\nruntime_type = "k"',
    ),
    Case("containerd_extra_args", containerd(extraConfig="[timeouts]\nx = '1s'"), TOML, '[timeouts]\nx = "1s"'),
    Case(
        "containerd_registries",
        {"engine": {"registries": {"quay.io": ["https://m.example"]}}},
        "containerd/certs.d/quay.io/hosts.toml",
        '[host."https://m.example"]',
    ),
    Case(
        "docker_mirror",
        {"engine": {"name": "docker", "registries": {"docker.io": ["https://m.example"]}}},
        DOCKER,
        '"https://m.example"',
    ),
    Case(
        "docker_insecure_registries",
        {"engine": {"name": "docker", "insecureRegistries": ["r:5000"]}},
        DOCKER,
        '"r:5000"',
    ),
    Case("docker_log_driver", docker(logDriver="local"), DOCKER, '"log-driver": "local"'),
    Case("docker_log_level", docker(logLevel="error"), DOCKER, '"log-level": "error"'),
    Case("docker_log_max_size", {"engine": {"name": "docker", "logMaxSize": "7m"}}, DOCKER, '"max-size": "7m"'),
    Case("docker_log_max_file", {"engine": {"name": "docker", "logMaxFiles": 3}}, DOCKER, '"max-file": "3"'),
    Case("docker_storage_dir", {"engine": {"name": "docker", "dataDir": "/data/d"}}, DOCKER, '"data-root": "/data/d"'),
    Case("docker_bip", docker(bip="10.9.0.1/24"), DOCKER, '"bip": "10.9.0.1/24"'),
    Case("docker_max_concurrent_downloads", docker(maxConcurrentDownloads=4), DOCKER, '"max-concurrent-downloads": 4'),
    # load balancer
    Case("lb_mode", balancer(**HAPROXY_MODE), CONF, "LB_ENGINE=haproxy"),
    Case("lb_mode=slb", balancer(mode="external", address="203.0.113.9"), CONF, "ENDPOINT=203.0.113.9:8443"),
    Case("lb_kube_apiserver_ip", {"loadBalancer": VIP, "nodes": LB_NODES}, KEEPALIVED, "192.168.77.10/32"),
    Case("lb_kube_apiserver_port", balancer(port=9443), NGINX, "listen 127.0.0.1:9443;"),
    Case("lb_kube_apiserver_healthcheck_port", balancer(healthPort=8082), NGINX, "listen 127.0.0.1:8082;"),
    Case("lb_haproxy_stats_bind_address", balancer(**HAPROXY_MODE, statsPort=9091), HAPROXY, "bind 127.0.0.1:9091"),
    Case("lb_haproxy_balance_alg", balancer(**HAPROXY_MODE, balance="roundrobin"), HAPROXY, "balance roundrobin"),
    Case(
        "lb_keepalived_password",
        {"loadBalancer": {**VIP, "keepalived": {"password": "s3cret"}}, "nodes": LB_NODES},
        KEEPALIVED,
        "auth_pass s3cret",
    ),
    Case(
        "lb_keepalived_router_id",
        {"loadBalancer": {**VIP, "keepalived": {"routerId": 77}}, "nodes": LB_NODES},
        KEEPALIVED,
        "virtual_router_id 77",
    ),
    # etcd
    Case("etcd_certs_expired", kubernetes(certificateValidity={"leaf": "30d"}), INVENTORY, '"days": 30'),
    Case("etcd_ca_certs_expired", kubernetes(certificateValidity={"ca": "5000d"}), INVENTORY, '"caDays": 5000'),
    Case(
        "etcd_image",
        {"etcd": {"topology": "stacked"}, **kubernetes(images={"etcd": "3.5.9-0"})},
        INIT,
        "imageTag: '3.5.9-0'",
    ),
    Case("etcd_data_dir", {"etcd": {"dataDir": "/data/etcd"}}, "etcd.yaml", "data-dir: /data/etcd"),
    # Kubernetes
    Case(
        "kube_certs_expired", kubernetes(certificateValidity={"leaf": "30d"}), INIT, "cluster-signing-duration: '720h'"
    ),
    Case("kube_ca_certs_expired", kubernetes(certificateValidity={"ca": "4000d"}), INVENTORY, '"caDays": 4000'),
    Case("kube_master_external_ip", kubernetes(certSANs=["203.0.113.8"]), INVENTORY, '"IP:203.0.113.8"'),
    Case("kube_master_external_domain", kubernetes(certSANs=["api.example.org"]), INIT, "- api.example.org"),
    Case("kube_image_repository", kubernetes(imageRepository="r.example/k"), INIT, "imageRepository: r.example/k"),
    Case(
        "pod_infra_container_image",
        kubernetes(images={"pause": "3.8"}),
        TOML,
        'sandbox_image = "registry.k8s.io/pause:3.8"',
    ),
    Case("kube_version", kubernetes(version="1.29.9"), INIT, "kubernetesVersion: v1.29.9"),
    Case("kube_cni_version", {"packages": {"cniVersion": "1.5.0"}}, CONF, "CNI_VERSION=1.5.0"),
    Case("kube_dns_domain", kubernetes(clusterDomain="k.example"), INIT, "dnsDomain: k.example"),
    Case("kube_pod_subnet", network(podSubnet="10.4.0.0/16"), INIT, "podSubnet: '10.4.0.0/16'"),
    Case("kube_service_subnet", network(serviceSubnet="10.5.0.0/16"), INIT, "serviceSubnet: '10.5.0.0/16'"),
    Case("kube_network_node_prefix", network(nodePrefix=25), INIT, "node-cidr-mask-size: '25'"),
    Case("kube_max_pods", kubernetes(maxPods=99), INIT, "maxPods: 99"),
    Case("kube_service_node_port_range", kubernetes(nodePortRange="20000-20100"), INIT, "port-range: '20000-20100'"),
    *(
        Case(f"eviction_hard_{name}", kubernetes(kubelet={"evictionHard": {signal: "7%"}}), INIT, f"{signal}: '7%'")
        for name, signal in (
            ("imagefs_available", "imagefs.available"),
            ("memory_available", "memory.available"),
            ("nodefs_available", "nodefs.available"),
            ("nodefs_inodes_free", "nodefs.inodesFree"),
        )
    ),
    Case("kube_cpu_reserved", kubernetes(kubelet={"reserved": {"kube": {"cpu": "150m"}}}), INIT, "cpu: '150m'"),
    Case(
        "kube_memory_reserved", kubernetes(kubelet={"reserved": {"kube": {"memory": "300M"}}}), INIT, "memory: '300M'"
    ),
    Case("system_reserved_enabled", reserved(), INIT, "systemReserved:"),
    Case("system_cpu_reserved", reserved(cpu="250m"), INIT, "cpu: '250m'"),
    Case("system_memory_reserved", reserved(memory="700M"), INIT, "memory: '700M'"),
    Case("system_ephemeral_storage_reserved", reserved(ephemeralStorage="9G"), INIT, "ephemeral-storage: '9G'"),
    Case("kube_proxy_mode", kubernetes(proxyMode="ipvs"), INIT, "mode: ipvs"),
    Case("kubelet_root_dir", kubernetes(kubelet={"rootDir": "/data/kubelet"}), INIT, "root-dir: /data/kubelet"),
    Case(
        "kube_encryption_algorithm", kubernetes(secretsEncryption={"algorithm": "secretbox"}), INVENTORY, '"secretbox"'
    ),
    Case("kubernetes_audit", kubernetes(audit={"enabled": True}), "audit-policy.yaml", "kind: Policy"),
    Case("audit_log_maxage", kubernetes(audit={"enabled": True, "maxAge": 3}), INIT, "audit-log-maxage: '3'"),
    Case(
        "audit_log_maxbackups", kubernetes(audit={"enabled": True, "maxBackups": 4}), INIT, "audit-log-maxbackup: '4'"
    ),
    Case("audit_log_maxsize", kubernetes(audit={"enabled": True, "maxSize": 5}), INIT, "audit-log-maxsize: '5'"),
    Case(
        "audit_log_hostpath",
        kubernetes(audit={"enabled": True, "directory": "/data/audit"}),
        INIT,
        "audit-log-path: /data/audit/audit.log",
    ),
    Case(
        "audit_policy_custom_rules",
        kubernetes(audit={"enabled": True, "policyFile": "own.yaml"}),
        "audit-policy.yaml",
        "# the site's own",
    ),
    Case(
        "kube_apiserver_enable_admission_plugins",
        kubernetes(admissionPlugins={"enable": ["NodeRestriction", "AlwaysPullImages"]}),
        INIT,
        "enable-admission-plugins: NodeRestriction,AlwaysPullImages",
    ),
    Case(
        "kube_apiserver_disable_admission_plugins",
        kubernetes(admissionPlugins={"disable": ["DefaultIngressClass"]}),
        INIT,
        "disable-admission-plugins: DefaultIngressClass",
    ),
    Case(
        "kube_controller_node_monitor_grace_period",
        kubernetes(controllerManager={"nodeMonitorGracePeriod": "41s"}),
        INIT,
        "node-monitor-grace-period: '41s'",
    ),
    Case(
        "kube_controller_node_monitor_period",
        kubernetes(controllerManager={"nodeMonitorPeriod": "6s"}),
        INIT,
        "node-monitor-period: '6s'",
    ),
    Case(
        "kube_controller_terminated_pod_gc_threshold",
        kubernetes(controllerManager={"terminatedPodGCThreshold": 11}),
        INIT,
        "terminated-pod-gc-threshold: '11'",
    ),
    *(
        Case(f"kube_kubeadm_{name}_extra_args", kubernetes(**{key: {"extraArgs": {"v": "6"}}}), INIT, "v: '6'")
        for name, key in (("apiserver", "apiServer"), ("controller", "controllerManager"), ("scheduler", "scheduler"))
    ),
    *(
        Case(
            f"{name}_extra_volumes",
            kubernetes(**{key: {"extraVolumes": [{"name": "v", "hostPath": "/h", "mountPath": "/m"}]}}),
            INIT,
            "mountPath: /m",
        )
        for name, key in (
            ("apiserver", "apiServer"),
            ("controller_manager", "controllerManager"),
            ("scheduler", "scheduler"),
        )
    ),
    # network plugin
    Case("network_plugin", network(plugin="none"), CONF, "NETWORK_PLUGIN=none"),
    Case("flannel_backend", network(flannel={"backend": "host-gw"}), "cni.yaml", '"Type": "host-gw"'),
    Case("flannel_enable_nftables", network(flannel={"nftables": True}), "cni.yaml", '"EnableNFTables": true'),
    Case("flannel_image", network(flannel={"image": "r.example/f:1"}), "cni.yaml", "image: r.example/f:1"),
    Case(
        "flannel_cni_plugin_image", network(flannel={"cniImage": "r.example/p:1"}), "cni.yaml", "image: r.example/p:1"
    ),
    # node labels and taints, roles
    Case("labels", {"nodes": with_node(0, labels={"zone": "a"})}, INIT, "node-labels: zone=a"),
    Case("kube-worker group", {}, "labels", "w1 node-role.kubernetes.io/worker="),
]


@cache
def profiles() -> Mapping[str, Profile]:
    return load_profiles()


@cache
def mirrors() -> Mapping[str, Mirror]:
    return load_mirrors()


def files(cluster: Cluster) -> dict[str, str]:
    """Everything that the first master is told, by file name, whether it runs Debian or Rocky Linux."""
    node = cluster.nodes[0]
    certificates = inventory_certificates(cluster, node)
    found = {
        CONF: "".join(f"{key}={value}\n" for key, value in kubernetes_facts(cluster, node).items()),
        INVENTORY: dump_json({**inventory_cluster(cluster, ""), "certificates": certificates}),
    }
    for system in ("debian-12", "rocky-9"):
        subject = Subject(
            cluster=cluster,
            node=node,
            profile=profiles()[system],
            mirror=mirrors()[cluster.packages.preset],
            keepalived_password=cluster.load_balancer.keepalived.password or Secret("generated"),
            programs=b"",
            audit_policy="# the site's own\n" if cluster.kubernetes.audit.policy_file else None,
        )
        for fileset in plan_filesets(cluster, node):
            found |= {artefact.path: artefact.data.decode() for artefact in render_fileset(fileset, subject)}
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.variable)
def test_a_variable_reaches_a_node(case: Case) -> None:
    assert case.words in files(example(**case.sections)).get(case.file, "")


@cache
def default_files() -> Mapping[str, str]:
    return files(example())


@pytest.mark.parametrize("case", [case for case in CASES if case.sections], ids=lambda case: case.variable)
def test_it_is_not_there_by_default(case: Case) -> None:
    assert case.words not in default_files().get(case.file, "")
