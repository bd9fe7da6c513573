"""The load balancer on a node: tested before it is used, its backends refreshed."""

import pytest

from tests.node.cluster import NGINX, OTHER_MASTER, Cluster, joining
from tests.node.coordinator import Answer


def balancer(cluster: Cluster) -> None:
    joining(cluster, "w1", "worker", LB_ENGINE="nginx")
    cluster.serve_as(lambda _: Answer(200, b"ok"), cluster.machine.listen(8081), None)
    cluster.machine.path("var/lib/kubeseed/sentinel").mkdir(parents=True)
    cluster.machine.write("var/lib/kubeseed/sentinel/preflight", "1 0 x\n")


def test_the_balancer_is_tested_and_its_backends_are_refreshed(cluster: Cluster) -> None:
    balancer(cluster)
    machine = cluster.machine
    status, output = machine.boot()
    assert status == 0, output
    assert machine.read("etc/kubeseed/lb/nginx.conf") == NGINX
    assert "-t -q -c /etc/kubeseed/lb/nginx.conf" in machine.calls("nginx")
    assert {"--no-reload enable kubeseed-lb.service", "--no-reload enable kubeseed-refresh.timer"} <= set(
        machine.calls("systemctl")
    )
    assert machine.boot("/usr/local/lib/kubeseed/refresh", "backends")[0] == 0
    servers = f"    server 127.0.0.1:6443;\n    server {OTHER_MASTER}:6443;\n"
    assert machine.read("etc/kubeseed/lb/nginx.conf") == NGINX.replace("    server 192.0.2.1:6443;\n", servers)
    assert "-t -q -c /etc/kubeseed/lb/nginx.conf.try" in machine.calls("nginx")
    assert "reload kubeseed-lb" in machine.calls("systemctl")
    assert cluster.reports()[-1] == "load-balancer done"
    assert not list(machine.path("etc/kubeseed/lb").glob("*.try"))


@pytest.mark.parametrize("evil", ["192.0.2.1:6443; include /etc/shadow", "server:port", "", "192.0.2.1"])
def test_backends_are_addresses_and_nothing_else(cluster: Cluster, evil: str) -> None:
    balancer(cluster)
    cluster.rules["/v1/backends"] = lambda _: Answer(200, evil.encode())
    machine = cluster.machine
    assert machine.boot()[0] == 0
    status, output = machine.boot("/usr/local/lib/kubeseed/refresh", "backends")
    assert status == 1
    assert "these are no backends" in output
    assert machine.read("etc/kubeseed/lb/nginx.conf") == NGINX


def test_a_configuration_that_the_balancer_refuses_is_not_used(cluster: Cluster) -> None:
    balancer(cluster)
    machine = cluster.machine
    assert machine.boot()[0] == 0
    machine.write("usr/local/sbin/nginx", "#!/bin/sh\necho nginx: no; exit 1\n", 0o755)
    status, output = machine.boot("/usr/local/lib/kubeseed/refresh", "backends")
    assert status == 1, output
    assert machine.read("etc/kubeseed/lb/nginx.conf") == NGINX
    assert not machine.path("var/lib/kubeseed/backends.etag").exists()
