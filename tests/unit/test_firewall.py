"""firewall: managed lets in what a node's roles need, from whom they need it, and nothing else."""

from typing import Any

import pytest

from generator.bundle import Enrolment
from generator.plan.filesets import plan_filesets
from generator.plan.firewall import Opening, Who, plan_firewall, plan_openings
from generator.plan.host import host_facts
from generator.profile import load_profiles
from generator.render.firewall import render_firewall
from generator.secret import Secret
from generator.spec.cluster import Cluster
from generator.spec.host import Firewall
from tests.example import NODES, example, text
from tests.fixed import NOW

LB = {"mode": "vip", "vip": "192.168.77.10"}


def managed(**sections: Any) -> Cluster:
    return example(**{"defaults": {"firewall": "managed"}, **sections})


def ports(cluster: Cluster, name: str, who: Who | None = None) -> set[str]:
    node = next(node for node in cluster.nodes if node.name == name)
    return {
        f"{opening.protocol} {opening.port}".strip()
        for opening in plan_openings(cluster, node)
        if who in (None, opening.who)
    }


def test_a_master_with_etcd() -> None:
    assert ports(managed(), "m1", Who.ANYBODY) == {
        "tcp 22", "tcp 6443", "tcp 10256", "tcp 30000-32767", "udp 30000-32767",
    }  # fmt: skip
    assert ports(managed(), "m1", Who.CLUSTER) == {"tcp 2379-2380", "tcp 10250", "udp 8472"}


def test_a_worker_has_neither_etcd_nor_an_api_server() -> None:
    assert not {"tcp 6443", "tcp 2379-2380"} & ports(managed(), "w1")


def test_stacked_etcd_is_on_every_master() -> None:
    nodes = [{**node, "roles": ["master"]} for node in NODES]
    assert "tcp 2379-2380" in ports(managed(etcd={"topology": "stacked"}, nodes=nodes), "m1", Who.CLUSTER)


def test_a_machine_that_only_balances() -> None:
    nodes = [*NODES, *({"name": f"lb{n}", "roles": ["lb"], "address": f"192.168.77.3{n}"} for n in (1, 2))]
    assert ports(managed(loadBalancer=LB, nodes=nodes), "lb1") == {"tcp 22", "tcp 8443", "vrrp"}


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ({"plugin": "flannel", "flannel": {"backend": "vxlan"}}, {"udp 8472"}),
        ({"plugin": "flannel", "flannel": {"backend": "host-gw"}}, set()),
        ({"plugin": "calico", "calico": {"backend": "bird"}}, {"tcp 5473", "tcp 179", "ipencap"}),
        ({"plugin": "calico", "calico": {"backend": "vxlan"}}, {"tcp 5473", "udp 4789"}),
        ({"plugin": "calico", "calico": {"backend": "none"}}, {"tcp 5473"}),
        ({"plugin": "none"}, set()),
    ],
)
def test_the_network_plugin_reaches_its_peers(network: dict[str, Any], expected: set[str]) -> None:
    assert ports(managed(network=network), "w1", Who.CLUSTER) == {"tcp 10250", *expected}


def test_ingress_and_ports_of_the_spec() -> None:
    cluster = managed(
        addons={"ingress": {"enabled": True}},
        defaults={"firewall": "managed", "openPorts": ["9100/tcp", "4000-4010/udp"]},
    )
    assert {"tcp 80", "tcp 443", "tcp 9100", "udp 4000-4010"} <= ports(cluster, "w1", Who.ANYBODY)
    assert "tcp 80" not in ports(cluster, "m1")


def test_the_rules_name_whom_they_let_in() -> None:
    cluster = managed()
    rules = text(render_firewall(plan_firewall(cluster, cluster.nodes[0])))
    assert "elements = { 10.244.0.0/18, 192.168.77.0/24 }" in rules
    assert 'tcp dport 6443 accept comment "kube-apiserver"' in rules
    assert 'ip saddr @cluster4 tcp dport 2379-2380 accept comment "etcd"' in rules
    assert "policy drop" in rules
    assert "ip6 saddr" not in rules


def test_protocols_without_ports_are_numbers() -> None:
    cluster = managed(network={"plugin": "calico"})
    rules = text(render_firewall(plan_firewall(cluster, cluster.nodes[0])))
    assert "ip saddr @cluster4 meta l4proto 4 accept" in rules


def test_ipv6_has_a_set_of_its_own() -> None:
    nodes = [{**node, "address": f"fd00:77::1{n}", "network": {"prefix": 64}} for n, node in enumerate(NODES)]
    cluster = managed(
        network={"podSubnet": "fd00:10::/56", "serviceSubnet": "fd00:20::/112", "nodePrefix": 64}, nodes=nodes
    )
    rules = text(render_firewall(plan_firewall(cluster, cluster.nodes[0])))
    assert "ip6 saddr @cluster6 tcp dport 10250" in rules
    assert "cluster4" not in rules


def test_only_who_asks_gets_the_file_and_equals_share_it() -> None:
    cluster = example(nodes=[{**node, "firewall": "managed"} if node["name"] != "w1" else node for node in NODES])
    names = {
        str(node.name): [fileset.name for fileset in plan_filesets(cluster, node) if fileset.scope == "firewall"]
        for node in cluster.nodes
    }
    assert names["w1"] == []
    assert names["m2"] == names["m3"] != []


def test_a_managed_firewall_is_never_switched_off() -> None:
    profile, enrolment = load_profiles()["debian-12"], Enrolment("0" * 16, Secret("0" * 64), 1, NOW)
    for firewall, off in ((None, "1"), ("managed", "")):
        cluster = example(defaults={"disableFirewall": True, "firewall": firewall})
        facts = host_facts(cluster, cluster.nodes[0], profile, enrolment)
        assert facts["DISABLE_FIREWALL"] == off
        assert cluster.nodes[0].firewall is (Firewall(firewall) if firewall else None)


def test_an_opening_says_why() -> None:
    cluster = managed()
    assert all(isinstance(opening, Opening) and opening.why for opening in plan_openings(cluster, cluster.nodes[0]))


def test_a_network_inside_another_is_not_said_twice() -> None:
    cluster = managed(
        nodes=[*NODES, {"name": "w2", "roles": ["worker"], "address": "192.168.78.5", "network": {"prefix": 16}}]
    )
    networks = plan_firewall(cluster, cluster.nodes[0]).networks
    assert [str(network) for network in networks] == ["10.244.0.0/18", "192.168.0.0/16"]
