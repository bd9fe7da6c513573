"""Certificates: kubeadm's names, and nothing for a node beyond its roles."""

from typing import Any

import pytest

from generator.plan.certificates import Authority, Usage, inventory_certificates, plan_certificates
from http_server.inventory import Certificate as Profile
from tests.example import NODES, example, with_node

MASTER = {
    "apiserver",
    "apiserver-kubelet-client",
    "apiserver-etcd-client",
    "admin",
    "controller-manager",
    "scheduler",
    "front-proxy-client",
}
ETCD = {"etcd-server", "etcd-peer", "etcd-healthcheck-client"}


@pytest.mark.parametrize(
    ("roles", "kinds"),
    [
        (["master"], MASTER | {"kubelet-serving"}),
        (["master", "etcd"], MASTER | ETCD | {"kubelet-serving"}),
        (["worker"], {"kubelet-serving"}),
        (["etcd"], ETCD),
        (["lb"], set()),
        (["worker", "lb"], {"kubelet-serving"}),
    ],
)
def test_a_node_may_ask_for_what_its_roles_need(roles: list[str], kinds: set[str]) -> None:
    cluster = example(nodes=[*NODES, {"name": "x", "roles": roles, "address": "192.168.77.99"}])
    assert set(plan_certificates(cluster, cluster.nodes[-1])) == kinds


def test_stacked_etcd_runs_on_masters_only() -> None:
    cluster = example(etcd={"topology": "stacked"}, nodes=with_node(0, roles=["master"]))
    assert set(plan_certificates(cluster, cluster.nodes[0])) >= ETCD
    assert not set(plan_certificates(cluster, cluster.nodes[3])) & ETCD


def test_a_kubelet_asks_for_a_client_certificate_only_when_it_joins_with_one() -> None:
    worker = example().nodes[3]
    assert "kubelet-client" not in plan_certificates(example(), worker)
    client = plan_certificates(example(bootstrap={"join": "certificate"}), worker)["kubelet-client"]
    assert (client.common_name, client.organizations, client.usages) == (
        "system:node:w1",
        ("system:nodes",),
        (Usage.CLIENT,),
    )


def test_the_api_servers_names_are_kubeadms_and_all_masters() -> None:
    cluster = example(
        kubernetes={"clusterDomain": "k8s.example.org", "certSANs": ["api.example.org", "203.0.113.7"]},
        loadBalancer={"mode": "vip", "vip": "192.168.77.10"},
        network={"serviceSubnet": "10.96.0.0/16"},
    )
    assert set(plan_certificates(cluster, cluster.nodes[1])["apiserver"].sans) == {
        "DNS:kubernetes",
        "DNS:kubernetes.default",
        "DNS:kubernetes.default.svc",
        "DNS:kubernetes.default.svc.k8s.example.org",
        "DNS:localhost",
        "DNS:m1",
        "DNS:m2",
        "DNS:m3",
        "IP:192.168.77.11",
        "IP:192.168.77.12",
        "IP:192.168.77.13",
        "IP:10.96.0.1",
        "IP:127.0.0.1",
        "IP:::1",
        "IP:192.168.77.10",
        "DNS:api.example.org",
        "IP:203.0.113.7",
    }


@pytest.mark.parametrize(
    ("balancer", "san"),
    [
        ({"mode": "external", "address": "lb.example.org"}, "DNS:lb.example.org"),
        ({"mode": "external", "address": "203.0.113.9"}, "IP:203.0.113.9"),
    ],
)
def test_an_external_balancer_is_among_the_names(balancer: dict[str, Any], san: str) -> None:
    cluster = example(loadBalancer=balancer)
    assert san in plan_certificates(cluster, cluster.nodes[0])["apiserver"].sans


@pytest.mark.parametrize(("version", "group"), [("1.28.15", "system:masters"), ("1.29.0", "kubeadm:cluster-admins")])
def test_the_administrators_group_is_that_of_the_version(version: str, group: str) -> None:
    cluster = example(kubernetes={"version": version})
    assert plan_certificates(cluster, cluster.nodes[0])["admin"].organizations == (group,)


def test_only_the_administrator_is_in_a_group_of_masters() -> None:
    cluster = example()
    powerful = {
        kind
        for node in cluster.nodes
        for kind, certificate in plan_certificates(cluster, node).items()
        if {"system:masters", "kubeadm:cluster-admins"} & set(certificate.organizations)
    }
    assert powerful == {"admin"}


def test_authorities_and_usages() -> None:
    cluster = example()
    found = plan_certificates(cluster, cluster.nodes[0])
    assert {kind for kind, one in found.items() if one.authority is Authority.ETCD} == ETCD | {"apiserver-etcd-client"}
    assert {kind for kind, one in found.items() if one.authority is Authority.FRONT_PROXY} == {"front-proxy-client"}
    assert {kind for kind, one in found.items() if Usage.SERVER in one.usages} == {
        "apiserver",
        "etcd-server",
        "etcd-peer",
        "kubelet-serving",
    }
    # etcd is a client of itself and of its peers (kubeadm, KubeadmCertEtcdServer).
    assert {kind for kind, one in found.items() if len(one.usages) == 2} == {"etcd-server", "etcd-peer"}
    assert all(one.sans for one in found.values() if Usage.SERVER in one.usages)


def test_an_etcd_member_is_named_after_its_own_node_alone() -> None:
    cluster = example()
    assert plan_certificates(cluster, cluster.nodes[1])["etcd-peer"].sans == (
        "DNS:m2",
        "DNS:localhost",
        "IP:192.168.77.12",
        "IP:127.0.0.1",
        "IP:::1",
    )


def test_the_inventory_entry() -> None:
    cluster = example(kubernetes={"certificateValidity": {"ca": "3650d", "leaf": "30d"}})
    assert inventory_certificates(cluster, cluster.nodes[3]) == {
        "kubelet-serving": {
            "authority": "kubernetes",
            "commonName": "system:node:w1",
            "organizations": ["system:nodes"],
            "sans": ["DNS:w1", "IP:192.168.77.21"],
            "usages": ["serverAuth"],
            "days": 30,
        }
    }


def test_the_coordinator_understands_every_entry() -> None:
    cluster = example(bootstrap={"join": "certificate"})
    entries = [entry for node in cluster.nodes for entry in inventory_certificates(cluster, node).values()]
    assert len([Profile.model_validate(entry) for entry in entries]) == len(entries) > 30
