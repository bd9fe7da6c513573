"""The load balancer: who runs one, where clients go, what stands between the markers, how the VIP moves."""

import re
from typing import Any

import pytest
import yaml

from generator.plan.kubernetes import kubernetes_facts
from generator.plan.load_balancer import Backend, backends, balances, endpoint, plan_balancer, plan_vrrp
from generator.render.load_balancer import render_balancer, render_keepalived
from generator.secret import Secret
from generator.spec.cluster import Cluster
from generator.spec.load_balancer import LoadBalancerEngine
from generator.value import parse_address
from tests.example import NODES, example, text

VIP = {"mode": "vip", "vip": "192.168.77.10"}
LB_NODES = [{**node, "roles": [*node["roles"], "lb"]} for node in NODES[:3]] + NODES[3:]
FILES = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg", "envoy": "envoy-endpoints.yaml"}


def rendered(cluster: Cluster, engine: str) -> dict[str, str]:
    return {file.path: text(file) for file in render_balancer(LoadBalancerEngine(engine), plan_balancer(cluster))}


@pytest.mark.parametrize(
    ("balancer", "runners", "where"),
    [
        ({"mode": "local"}, ["m1", "m2", "m3", "w1"], "127.0.0.1:8443"),
        (VIP, ["m1", "m2", "m3"], "192.168.77.10:8443"),
        ({"mode": "external", "address": "lb.example.org", "port": 443}, [], "lb.example.org:443"),
        ({"mode": "external", "address": "fd00:77::9"}, [], "[fd00:77::9]:8443"),
    ],
)
def test_who_balances_and_where_clients_go(balancer: dict[str, Any], runners: list[str], where: str) -> None:
    cluster = example(loadBalancer=balancer, nodes=LB_NODES)
    assert [node.name for node in cluster.nodes if balances(cluster, node)] == runners
    assert endpoint(cluster) == where
    engines = {kubernetes_facts(cluster, node)["LB_ENGINE"] for node in cluster.nodes}
    assert engines <= {"nginx", ""}
    assert ("nginx" in engines) == bool(runners)


@pytest.mark.parametrize("engine", FILES)
def test_the_marked_block_holds_one_line_for_each_api_server(engine: str) -> None:
    lines = rendered(example(), engine)[FILES[engine]].splitlines()
    begin = next(at for at, line in enumerate(lines) if line.strip() == "# kubeseed backends begin")
    end = next(at for at, line in enumerate(lines) if line.strip() == "# kubeseed backends end")
    assert end - begin == 1 + len(backends(example()))
    for line, host in zip(lines[begin + 1 : end], (11, 12, 13), strict=True):
        assert f"192.168.77.{host}" in line
        assert "6443" in line
        assert re.match(r" *", line)[0] == re.match(r" *", lines[begin])[0]  # type: ignore[index]  # both always match


@pytest.mark.parametrize(
    ("address", "target", "name"),
    [("192.168.77.11", "192.168.77.11:6443", "192.168.77.11-6443"), ("fd00::1", "[fd00::1]:6443", "-fd00--1--6443")],
)
def test_a_backend_in_the_engines_words(address: str, target: str, name: str) -> None:
    backend = Backend(parse_address(address))
    assert (backend.target, backend.name) == (target, name)


@pytest.mark.parametrize("engine", FILES)
def test_only_the_balanced_port_is_reachable_from_outside(engine: str) -> None:
    cluster = example(loadBalancer=VIP, nodes=LB_NODES)
    said = "\n".join(rendered(cluster, engine).values())
    listening = re.findall(r"(?:listen|bind) ([^\s;]+:\d+)", said) + [
        f"{host}:{port}" for host, port in re.findall(r"address: '?([\d.]+)'?\n\s+port_value: (\d+)", said)
    ]
    assert "0.0.0.0:8443" in listening
    assert {address for address in listening if not address.startswith("127.0.0.1:")} == {"0.0.0.0:8443"}


def test_the_statistics_ask_for_no_password_and_allow_no_change() -> None:
    said = rendered(example(), "haproxy")["haproxy.cfg"]
    assert "stats auth" not in said
    assert "stats admin" not in said


@pytest.mark.parametrize(
    ("balance", "nginx", "haproxy", "envoy"),
    [
        ("leastconn", "least_conn;", "balance leastconn", "LEAST_REQUEST"),
        ("roundrobin", "", "balance roundrobin", "ROUND_ROBIN"),
        ("source", "hash $remote_addr consistent;", "balance source", "MAGLEV"),
    ],
)
def test_every_engine_balances_as_asked(balance: str, nginx: str, haproxy: str, envoy: str) -> None:
    cluster = example(loadBalancer={"balance": balance})
    assert nginx in rendered(cluster, "nginx")["nginx.conf"]
    assert ("least_conn" in rendered(cluster, "nginx")["nginx.conf"]) == (balance == "leastconn")
    assert haproxy in rendered(cluster, "haproxy")["haproxy.cfg"]
    tree = yaml.safe_load(rendered(cluster, "envoy")["envoy.yaml"])
    assert tree["static_resources"]["clusters"][0]["lb_policy"] == envoy


def test_the_vip_moves_between_the_balancers_by_unicast() -> None:
    cluster = example(loadBalancer=VIP, nodes=LB_NODES)
    plans = [plan_vrrp(cluster, node, Secret("abcdefgh")) for node in cluster.load_balancers]
    assert [plan.priority for plan in plans] == [120, 119, 118]
    assert [[str(peer) for peer in plan.peers] for plan in plans] == [
        ["192.168.77.12", "192.168.77.13"],
        ["192.168.77.11", "192.168.77.13"],
        ["192.168.77.11", "192.168.77.12"],
    ]
    assert {plan.vip for plan in plans} == {"192.168.77.10/32"}


def test_keepalived_gives_the_address_up_when_the_api_is_out_of_reach() -> None:
    cluster = example(loadBalancer=VIP, nodes=LB_NODES)
    artefact = render_keepalived(plan_vrrp(cluster, cluster.nodes[0], Secret("abcdefgh")))
    said = text(artefact)
    assert 'script "/usr/local/lib/kubeseed/check-apiserver"' in said
    assert re.search(r"track_script \{\s+kube_apiserver\s+\}", said)
    assert "weight" not in said  # a weight would lower the priority only, and keep the address
    assert "state BACKUP" in said
    assert "nopreempt" in said
    assert artefact.secret
    assert artefact.mode == 0o600
    assert "abcdefgh" in said
    assert "abcdefgh" not in repr(plan_vrrp(cluster, cluster.nodes[0], Secret("abcdefgh")))
