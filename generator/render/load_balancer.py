"""Knows the configuration of nginx, haproxy, envoy (v3 API) and keepalived: a layer 4 balancer and the VIP in front."""

from collections.abc import Callable, Mapping

from generator.plan.load_balancer import Balancer, Vrrp, join_host_port
from generator.render.artefact import Artefact
from generator.render.dump import Data, dump_yaml
from generator.render.text import render
from generator.spec.load_balancer import Balance, LoadBalancerEngine

ENDPOINTS = "/etc/kubeseed/lb/envoy-endpoints.yaml"
_NAME = "kube_apiserver"
_NGINX_METHODS = {
    Balance.LEASTCONN: "least_conn",
    Balance.ROUNDROBIN: "",
    Balance.SOURCE: "hash $remote_addr consistent",
}
_ENVOY_POLICIES = {Balance.LEASTCONN: "LEAST_REQUEST", Balance.ROUNDROBIN: "ROUND_ROBIN", Balance.SOURCE: "MAGLEV"}
_TYPES = "type.googleapis.com/envoy.extensions"


def render_balancer(engine: LoadBalancerEngine, balancer: Balancer) -> tuple[Artefact, ...]:
    """The files of one engine."""
    return _RENDERERS[engine](balancer)


def render_keepalived(vrrp: Vrrp) -> Artefact:
    """`keepalived.conf` of one node of role lb; it holds VRRP's password."""
    values: Mapping[str, object] = {
        "name": vrrp.name,
        "router_id": vrrp.router_id,
        "priority": vrrp.priority,
        "address": vrrp.address,
        "peers": vrrp.peers,
        "vip": vrrp.vip,
        "password": vrrp.password.reveal(),
    }
    return Artefact("keepalived.conf", render("load_balancer/keepalived.conf.j2", values).encode(), 0o600, secret=True)


def _nginx(balancer: Balancer) -> tuple[Artefact, ...]:
    return (_line_format("nginx.conf", balancer, _NGINX_METHODS[balancer.balance]),)


def _haproxy(balancer: Balancer) -> tuple[Artefact, ...]:
    return (_line_format("haproxy.cfg", balancer, balancer.balance.value),)


def _envoy(balancer: Balancer) -> tuple[Artefact, ...]:
    configuration = dump_yaml(envoy_configuration(balancer)).encode()
    return (Artefact("envoy.yaml", configuration), _line_format("envoy-endpoints.yaml", balancer))


def _line_format(name: str, balancer: Balancer, method: str = "") -> Artefact:
    values: Mapping[str, object] = {
        "backends": balancer.backends,
        "listen": join_host_port(balancer.bind, balancer.port),
        "health_port": balancer.health_port,
        "stats_port": balancer.stats_port,
        "method": method,
    }
    return Artefact(name, render(f"load_balancer/{name}.j2", values).encode())


_RENDERERS: Mapping[LoadBalancerEngine, Callable[[Balancer], tuple[Artefact, ...]]] = {
    LoadBalancerEngine.NGINX: _nginx,
    LoadBalancerEngine.HAPROXY: _haproxy,
    LoadBalancerEngine.ENVOY: _envoy,
}


def envoy_configuration(balancer: Balancer) -> dict[str, Data]:
    """envoy.config.bootstrap.v3.Bootstrap; the API servers are in a file of their own, which envoy watches."""
    return {
        "node": {"id": "kubeseed-lb", "cluster": "kubeseed-lb"},
        "admin": {"address": _address("127.0.0.1", balancer.stats_port)},
        "static_resources": {
            "listeners": [_forwarding_listener(balancer), _health_listener(balancer)],
            "clusters": [_cluster(balancer)],
        },
    }


def _cluster(balancer: Balancer) -> dict[str, Data]:
    return {
        "name": _NAME,
        "type": "EDS",
        "connect_timeout": "1s",
        "lb_policy": _ENVOY_POLICIES[balancer.balance],
        "eds_cluster_config": {
            "eds_config": {"resource_api_version": "V3", "path_config_source": {"path": ENDPOINTS}},
        },
        # With one of three left, envoy would take its own check for broken and use the dead ones again. With none left
        # any is better than none.
        "common_lb_config": {"healthy_panic_threshold": {"value": 1}},
        "health_checks": [_health_check()],
        "transport_socket_matches": [_health_check_socket()],
    }


def _health_check() -> dict[str, Data]:
    """Over TLS, without verifying: clients verify, through the balancer, and the CA is not on every node yet."""
    return {
        "timeout": "10s",
        "interval": "5s",
        "no_traffic_interval": "5s",
        # One that is down is looked at every second: kubeadm and the kubelet of a new master wait for it.
        "unhealthy_interval": "1s",
        "unhealthy_edge_interval": "1s",
        "healthy_edge_interval": "1s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 2,
        "http_health_check": {"host": "kubernetes", "path": "/healthz"},
        "transport_socket_match_criteria": {"health_check": True},
    }


def _health_check_socket() -> dict[str, Data]:
    """Only connections that match, those of the health check, speak TLS; all others are passed through."""
    context: dict[str, Data] = {"@type": f"{_TYPES}.transport_sockets.tls.v3.UpstreamTlsContext"}
    return {
        "name": "health_check",
        "match": {"health_check": True},
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context},
    }


def _forwarding_listener(balancer: Balancer) -> dict[str, Data]:
    proxy: dict[str, Data] = {
        "@type": f"{_TYPES}.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": _NAME,
        "cluster": _NAME,
        "idle_timeout": "600s",
        "max_connect_attempts": 3,
        **({"hash_policy": [{"source_ip": {}}]} if balancer.balance is Balance.SOURCE else {}),
    }
    return {
        "name": _NAME,
        "address": _address(balancer.bind, balancer.port),
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}],
    }


def _health_listener(balancer: Balancer) -> dict[str, Data]:
    route: dict[str, Data] = {
        "match": {"path": "/healthz"},
        "direct_response": {"status": 200, "body": {"inline_string": "ok\n"}},
    }
    router: dict[str, Data] = {"@type": f"{_TYPES}.filters.http.router.v3.Router"}
    manager: dict[str, Data] = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "healthz",
        "route_config": {"virtual_hosts": [{"name": "healthz", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    filters: list[Data] = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "name": "healthz",
        "address": _address("127.0.0.1", balancer.health_port),
        "filter_chains": [{"filters": filters}],
    }


def _address(host: str, port: int) -> dict[str, Data]:
    return {"socket_address": {"address": host, "port_value": port}}
