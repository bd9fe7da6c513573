"""kubeadm's files: every key exists in the version's types, and what the spec says arrives."""

from typing import Any

import pytest
import yaml

from generator.plan.kubernetes import kubernetes_facts
from generator.render.kubeadm import render_init, render_join
from generator.spec.cluster import Cluster
from tests.example import example, text, with_node
from tests.unit.kubernetes_types import unknown_fields

VERSIONS = [f"1.{minor}.0" for minor in range(20, 37)]
FULL: dict[str, Any] = {
    "certSANs": ["api.example.org"],
    "images": {"pause": "3.9", "etcd": "3.5.15-0", "coredns": "v1.11.1"},
    "audit": {"enabled": True},
    "kubelet": {"rootDir": "/data/kubelet", "reserved": {"system": {"enabled": True}}},
    "proxyMode": "ipvs",
    "apiServer": {
        "extraArgs": {"runtime-config": "api/all=true"},
        "extraVolumes": [{"name": "x", "hostPath": "/x", "mountPath": "/y", "pathType": "Directory"}],
    },
}


def full(version: str, **sections: Any) -> Cluster:
    nodes = with_node(0, labels={"zone": "a"}, taints=["dedicated=control:NoExecute"])
    return example(kubernetes={**FULL, "version": version}, nodes=nodes, **sections)


def init(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """The documents of kubeadm-init.yaml by kind."""
    return {document["kind"]: document for document in yaml.safe_load_all(text(render_init(cluster)))}


def join(cluster: Cluster, node: int) -> dict[str, Any]:
    documents = list(yaml.safe_load_all(text(render_join(cluster, cluster.nodes[node]))))
    assert len(documents) == 1
    return dict(documents[0])


def arguments(given: Any) -> dict[str, str]:
    """extraArgs of any version."""
    return {entry["name"]: entry["value"] for entry in given} if isinstance(given, list) else given


@pytest.mark.parametrize("topology", ["external", "stacked"])
@pytest.mark.parametrize("version", VERSIONS)
def test_every_key_exists_in_the_versions_types(version: str, topology: str) -> None:
    cluster = full(version, etcd={"topology": topology})
    documents = [*init(cluster).values(), join(cluster, 1), join(cluster, 3)]
    minor = cluster.kubernetes.version.minor
    assert [path for document in documents for path in unknown_fields(document, minor)] == []


def test_the_list_of_types_can_say_no() -> None:
    assert unknown_fields({"apiVersion": "kubeadm.k8s.io/v1beta2", "kind": "InitConfiguration", "skipPhases": []}, 20)
    late = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "failCgroupV1": True}
    assert unknown_fields(late, 30)
    assert not unknown_fields(late, 31)
    nested = {"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration", "etcd": {"external": {"x": 1}}}
    assert unknown_fields(nested, 31) == ["ClusterConfiguration.etcd.external.x"]


@pytest.mark.parametrize(
    ("version", "api"),
    [
        ("1.20.2", "v1beta2"),
        ("1.21.14", "v1beta2"),
        ("1.22.0", "v1beta3"),
        ("1.30.5", "v1beta3"),
        ("1.31.0", "v1beta4"),
    ],
)
def test_the_newest_api_that_the_version_has(version: str, api: str) -> None:
    cluster = full(version)
    for document in (init(cluster)["InitConfiguration"], init(cluster)["ClusterConfiguration"], join(cluster, 1)):
        assert document["apiVersion"] == f"kubeadm.k8s.io/{api}"
    assert kubernetes_facts(cluster, cluster.nodes[0])["KUBEADM_API"] == api


@pytest.mark.parametrize("version", VERSIONS)
def test_no_file_holds_a_bootstrap_token(version: str) -> None:
    cluster = full(version)
    everything = text(render_init(cluster)) + text(render_join(cluster, cluster.nodes[3]))
    assert "token" not in everything.replace("bootstrap-token", "").lower()
    phases = init(cluster)["InitConfiguration"].get("skipPhases", [])
    assert phases == ([] if cluster.kubernetes.version.minor < 22 else ["bootstrap-token"])


@pytest.mark.parametrize("version", ["1.20.2", "1.30.5", "1.31.0"])
def test_a_node_joins_with_the_coordinators_file(version: str) -> None:
    worker, master = join(full(version), 3), join(full(version), 1)
    assert worker["discovery"]["file"] == {"kubeConfigPath": "/etc/kubernetes/discovery.conf"}
    assert "controlPlane" not in worker
    assert master["controlPlane"]["localAPIEndpoint"] == {"advertiseAddress": "192.168.77.12", "bindPort": 6443}


@pytest.mark.parametrize(
    ("version", "keys"),
    [
        ("1.23.17", ["node-role.kubernetes.io/master"]),
        ("1.24.0", ["node-role.kubernetes.io/master", "node-role.kubernetes.io/control-plane"]),
        ("1.25.0", ["node-role.kubernetes.io/control-plane"]),
    ],
)
def test_a_master_is_tainted_as_its_version_does_it(version: str, keys: list[str]) -> None:
    taints = join(example(kubernetes={"version": version}), 1)["nodeRegistration"]["taints"]
    assert taints == [{"key": key, "effect": "NoSchedule"} for key in keys]


def test_a_master_that_works_too_and_a_worker_have_only_their_own_taints() -> None:
    both = example(nodes=with_node(0, roles=["master", "worker", "etcd"]))
    assert init(both)["InitConfiguration"]["nodeRegistration"]["taints"] == []
    own = example(nodes=with_node(3, taints=["dedicated=gpu:NoExecute"]))
    assert join(own, 3)["nodeRegistration"]["taints"] == [{"key": "dedicated", "value": "gpu", "effect": "NoExecute"}]


def test_a_node_registers_with_its_address_and_labels() -> None:
    cluster = full("1.30.5")
    registration = init(cluster)["InitConfiguration"]["nodeRegistration"]
    assert registration["name"] == "m1"
    assert arguments(registration["kubeletExtraArgs"]) == {
        "node-ip": "192.168.77.11",
        "root-dir": "/data/kubelet",
        "node-labels": "zone=a",
    }


def test_external_etcd_is_reached_with_the_api_servers_own_certificate() -> None:
    assert init(example())["ClusterConfiguration"]["etcd"] == {
        "external": {
            "endpoints": [f"https://192.168.77.{host}:2379" for host in (11, 12, 13)],
            "caFile": "/etc/kubernetes/pki/etcd/ca.crt",
            "certFile": "/etc/kubernetes/pki/apiserver-etcd-client.crt",
            "keyFile": "/etc/kubernetes/pki/apiserver-etcd-client.key",
        }
    }


@pytest.mark.parametrize("version", ["1.20.2", "1.30.5", "1.31.0"])
def test_stacked_etcd_is_tuned_like_an_external_one(version: str) -> None:
    local = init(full(version, etcd={"topology": "stacked", "dataDir": "/data/etcd"}))["ClusterConfiguration"]["etcd"][
        "local"
    ]
    assert local["dataDir"] == "/data/etcd"
    assert local["imageTag"] == "3.5.15-0"
    tuned = arguments(local["extraArgs"])
    assert tuned["quota-backend-bytes"] == "8589934592"
    assert tuned["auto-compaction-retention"] == "1"
    assert tuned["listen-metrics-urls"] == "http://127.0.0.1:2381"


def test_secrets_are_encrypted_unless_the_spec_says_no() -> None:
    with_key = init(example())["ClusterConfiguration"]["apiServer"]
    assert arguments(with_key["extraArgs"])["encryption-provider-config"] == "/etc/kubernetes/encryption.yaml"
    assert {"/etc/kubernetes/encryption.yaml"} == {volume["hostPath"] for volume in with_key["extraVolumes"]}
    without = init(example(kubernetes={"secretsEncryption": None}))["ClusterConfiguration"]["apiServer"]
    assert "encryption-provider-config" not in arguments(without["extraArgs"])
    assert "extraVolumes" not in without


def test_the_spec_wins_over_a_flag_of_ours() -> None:
    cluster = example(kubernetes={"controllerManager": {"extraArgs": {"profiling": True, "v": 4}}})
    flags = arguments(init(cluster)["ClusterConfiguration"]["controllerManager"]["extraArgs"])
    assert (flags["profiling"], flags["v"]) == ("true", "4")


def test_durations_are_written_as_go_reads_them() -> None:
    cluster = example(
        kubernetes={"version": "1.31.0", "certificateValidity": {"ca": "20d", "leaf": "1d12h"}},
    )
    configuration = init(cluster)["ClusterConfiguration"]
    assert configuration["certificateValidityPeriod"] == "24h12h"
    assert configuration["caCertificateValidityPeriod"] == "480h"
    assert arguments(configuration["controllerManager"]["extraArgs"])["cluster-signing-duration"] == "24h12h"


def test_the_kubelet_serves_with_the_coordinators_certificate() -> None:
    kubelet = init(example())["KubeletConfiguration"]
    assert kubelet["tlsCertFile"] == "/var/lib/kubelet/pki/kubelet.crt"
    assert kubelet["tlsPrivateKeyFile"] == "/var/lib/kubelet/pki/kubelet.key"
    assert "serverTLSBootstrap" not in kubelet
    assert kubelet["rotateCertificates"] is True
    assert kubelet["authentication"]["anonymous"]["enabled"] is False
    api_server = init(example())["ClusterConfiguration"]["apiServer"]
    assert arguments(api_server["extraArgs"])["kubelet-certificate-authority"] == "/etc/kubernetes/pki/ca.crt"


def test_a_cluster_of_ipv6() -> None:
    nodes = [
        {"name": "m1", "roles": ["master", "etcd"], "address": "fd00:77::11"},
        {"name": "w1", "roles": ["worker"], "address": "fd00:77::21"},
    ]
    network = {"podSubnet": "fd00:10::/56", "serviceSubnet": "fd00:20::/112", "nodePrefix": 64}
    documents = init(example(nodes=nodes, network=network))
    assert documents["ClusterConfiguration"]["etcd"]["external"]["endpoints"] == ["https://[fd00:77::11]:2379"]
    assert documents["InitConfiguration"]["localAPIEndpoint"]["advertiseAddress"] == "fd00:77::11"
