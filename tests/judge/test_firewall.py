"""nftables takes the packet filter of every kind of node, and real packets pass or not as they should."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from generator.plan.firewall import plan_firewall
from generator.render.firewall import render_firewall
from tests.example import NODES, example

pytestmark = [
    pytest.mark.judge,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces"),
]
NODE, PEER, STRANGER = "192.168.77.11", "192.168.77.12", "203.0.113.5"
KINDS: dict[str, dict[str, Any]] = {
    "flannel": {},
    "calico": {"network": {"plugin": "calico"}},
    "calico-vxlan": {"network": {"plugin": "calico", "calico": {"backend": "vxlan"}}},
    "vip": {
        "loadBalancer": {"mode": "vip", "vip": "192.168.77.10"},
        "nodes": [{**node, "roles": [*node["roles"], "lb"]} for node in NODES],
    },
    "ipv6": {
        "network": {"podSubnet": "fd00:10::/56", "serviceSubnet": "fd00:20::/112", "nodePrefix": 64},
        "nodes": [{**node, "address": f"fd00:77::1{n}", "network": {"prefix": 64}} for n, node in enumerate(NODES)],
    },
    "own ports": {"defaults": {"firewall": "managed", "openPorts": ["9100/tcp", "4000-4010/udp"]}},
}


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)


def must(*words: str) -> None:
    done = run(*words)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


@contextmanager
def namespace() -> Iterator[str]:
    name = f"kubeseed-{uuid.uuid4().hex[:8]}"
    must("ip", "netns", "add", name)
    try:
        must("ip", "-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        run("ip", "netns", "delete", name)


def rules(tmp_path: Path, node: int = 0, **sections: Any) -> Path:
    cluster = example(**{"defaults": {"firewall": "managed"}, **sections})
    path = tmp_path / "firewall.nft"
    path.write_bytes(render_firewall(plan_firewall(cluster, cluster.nodes[node])).data)
    return path


def load(name: str, path: Path) -> "subprocess.CompletedProcess[str]":
    return run("ip", "netns", "exec", name, "nft", "-f", str(path))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("node", [0, 3], ids=["master", "worker"])
def test_nft_takes_the_rules_twice(tmp_path: Path, kind: str, node: int) -> None:
    path = rules(tmp_path, node, **KINDS[kind])
    with namespace() as name:
        for _ in range(2):
            done = load(name, path)
            assert done.returncode == 0, done.stderr
        listed = run("ip", "netns", "exec", name, "nft", "list", "ruleset").stdout
        assert listed.count("table inet kubeseed") == 1


def test_nft_refuses_a_wrong_rule(tmp_path: Path) -> None:
    path = rules(tmp_path)
    path.write_text(path.read_text().replace("tcp dport 22", "tcp dport twenty-two"))
    with namespace() as name:
        assert load(name, path).returncode != 0


def test_another_table_stays(tmp_path: Path) -> None:
    with namespace() as name:
        must("ip", "netns", "exec", name, "nft", "add table inet kubernetes")
        assert load(name, rules(tmp_path)).returncode == 0
        assert "table inet kubernetes" in run("ip", "netns", "exec", name, "nft", "list", "tables").stdout


@contextmanager
def node_and_visitor(address: str) -> Iterator[tuple[str, str]]:
    """A node's namespace, and one with `address` that reaches it."""
    with namespace() as node, namespace() as visitor:
        must("ip", "link", "add", "eth0", "netns", node, "type", "veth", "peer", "name", "eth0", "netns", visitor)
        must("ip", "-n", node, "addr", "add", f"{NODE}/24", "dev", "eth0")
        must("ip", "-n", visitor, "addr", "add", f"{address}/32", "dev", "eth0")
        for name in (node, visitor):
            must("ip", "-n", name, "link", "set", "eth0", "up")
        must("ip", "-n", visitor, "route", "add", NODE, "dev", "eth0")
        must("ip", "-n", node, "route", "replace", f"{address}/32", "dev", "eth0")
        yield node, visitor


LISTEN = (
    "import socket,time;s=[socket.create_server(('0.0.0.0',p)) for p in {ports}];print('up',flush=True);time.sleep(60)"
)
VISIT = "import socket;socket.create_connection(('{address}',{port}),1)"


def reachable(address: str, path: Path, ports: tuple[int, ...]) -> set[int]:
    """The ports of the node that a visitor with this address gets a connection to."""
    with node_and_visitor(address) as (node, visitor):
        assert load(node, path).returncode == 0
        listen = ("ip", "netns", "exec", node, "python3", "-c", LISTEN.format(ports=list(ports)))
        with subprocess.Popen(listen, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout
                assert server.stdout.readline() == "up\n"
                return {port for port in ports if _connects(visitor, port)}
            finally:
                with suppress(ProcessLookupError):
                    server.kill()


def _connects(visitor: str, port: int) -> bool:
    done = run("ip", "netns", "exec", visitor, "python3", "-c", VISIT.format(address=NODE, port=port))
    return done.returncode == 0


PORTS = (22, 2379, 5000, 6443, 10250, 10256)


def test_a_stranger_reaches_what_everybody_may(tmp_path: Path) -> None:
    assert reachable(STRANGER, rules(tmp_path), PORTS) == {22, 6443, 10256}


def test_a_node_reaches_what_the_cluster_needs(tmp_path: Path) -> None:
    assert reachable(PEER, rules(tmp_path), PORTS) == {22, 2379, 6443, 10250, 10256}


def test_a_pod_reaches_the_kubelet(tmp_path: Path) -> None:
    assert reachable("10.244.3.4", rules(tmp_path, node=3), PORTS) == {22, 10250, 10256}
