"""The refresh timer of a node writes backends as the generator does: one contract, two programs."""

import re
import subprocess

import pytest

from generator.plan.load_balancer import plan_balancer
from generator.render.load_balancer import render_balancer
from generator.resource import data_root
from generator.spec.load_balancer import LoadBalancerEngine
from tests.example import example, text

REFRESH = data_root() / "templates" / "node" / "refresh"
IPV6 = [
    {"name": "m1", "roles": ["master", "etcd"], "address": "fd00:77::11"},
    {"name": "w1", "roles": ["worker"], "address": "fd00:77::21"},
]


@pytest.mark.parametrize("nodes", [None, IPV6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("engine", list(LoadBalancerEngine))
def test_the_nodes_lines_are_the_generators(engine: LoadBalancerEngine, nodes: list[dict[str, object]] | None) -> None:
    families = {"podSubnet": "fd00:10::/56", "serviceSubnet": "fd00:20::/112", "nodePrefix": 64} if nodes else {}
    cluster = example(**({"nodes": nodes, "network": families} if nodes else {}))
    balancer = plan_balancer(cluster)
    said = text(render_balancer(engine, balancer)[-1])
    block = re.search(r"# kubeseed backends begin\n(.*?)\n *# kubeseed backends end", said, re.DOTALL)
    assert block
    function = re.search(r"^server_line\(\) \{\n.*?^\}\n", REFRESH.read_text(), re.DOTALL | re.MULTILINE)
    assert function
    script = f"LB_ENGINE={engine}\n{function[0]}server_line"
    backends = "".join(f"{backend.target}\n" for backend in balancer.backends)
    node = subprocess.run(["sh", "-euc", script], input=backends, capture_output=True, text=True, check=True)
    assert node.stdout.splitlines() == [line.strip() for line in block[1].splitlines()]
