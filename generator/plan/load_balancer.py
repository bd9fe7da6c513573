"""Knows how API clients reach the API servers: the endpoint, who balances, and between whom the VIP moves."""

from dataclasses import dataclass

from generator.secret import Secret
from generator.spec.cluster import Cluster
from generator.spec.load_balancer import Balance, LoadBalancerMode
from generator.spec.node import Node, Role
from generator.value import Address

API_PORT = 6443
PRIORITY = 120


@dataclass(frozen=True, slots=True)
class Backend:
    """One API server."""

    host: Address
    port: int = API_PORT

    @property
    def target(self) -> str:
        """`address:port`, an IPv6 address in brackets."""
        return join_host_port(str(self.host), self.port)

    @property
    def name(self) -> str:
        """The target in characters that haproxy allows in a server's name."""
        return "".join(c if c.isalnum() or c == "." else "-" for c in self.target)


@dataclass(frozen=True, slots=True)
class Balancer:
    """What a load balancer of the API servers listens on and connects to. Health and statistics stay on 127.0.0.1."""

    bind: str
    port: int
    health_port: int
    stats_port: int
    balance: Balance
    backends: tuple[Backend, ...]


@dataclass(frozen=True, slots=True)
class Vrrp:
    """One node's part in moving the VIP (RFC 5798, unicast)."""

    name: str
    router_id: int
    priority: int
    address: Address
    peers: tuple[Address, ...]
    vip: str
    password: Secret[str]


def join_host_port(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets (RFC 3986)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def endpoint_host(cluster: Cluster) -> str:
    """The name or address under which every node reaches the API servers."""
    balancer = cluster.load_balancer
    if balancer.mode is LoadBalancerMode.LOCAL:
        return "127.0.0.1"
    return str(balancer.vip if balancer.mode is LoadBalancerMode.VIP else balancer.address)


def endpoint(cluster: Cluster) -> str:
    """kubeadm's controlPlaneEndpoint, `host:port`."""
    return join_host_port(endpoint_host(cluster), cluster.load_balancer.port)


def balances(cluster: Cluster, node: Node) -> bool:
    """Whether this node runs a load balancer."""
    match cluster.load_balancer.mode:
        case LoadBalancerMode.LOCAL:
            return bool({Role.MASTER, Role.WORKER} & set(node.roles))
        case LoadBalancerMode.VIP:
            return Role.LB in node.roles
        case LoadBalancerMode.EXTERNAL:
            return False


def plan_balancer(cluster: Cluster) -> Balancer:
    """The load balancer of every node that runs one."""
    settings = cluster.load_balancer
    return Balancer(
        bind=_bind(cluster),
        port=settings.port,
        health_port=settings.health_port,
        stats_port=settings.stats_port,
        balance=settings.balance,
        backends=backends(cluster),
    )


def backends(cluster: Cluster) -> tuple[Backend, ...]:
    """The API servers, in the order of the spec."""
    return tuple(Backend(master.address) for master in cluster.masters)


def plan_vrrp(cluster: Cluster, node: Node, password: Secret[str]) -> Vrrp:
    """The first balancer of the spec has the highest priority; it matters only while nobody holds the VIP yet."""
    peers = cluster.load_balancers
    vip = cluster.load_balancer.vip
    return Vrrp(
        name=node.name,
        router_id=cluster.load_balancer.keepalived.router_id,
        priority=max(1, PRIORITY - [peer.name for peer in peers].index(node.name)),
        address=node.address,
        peers=tuple(peer.address for peer in peers if peer.name != node.name),
        vip=f"{vip}/{vip.max_prefixlen}" if vip else "",
        password=password,
    )


def _bind(cluster: Cluster) -> str:
    vip = cluster.load_balancer.vip
    if cluster.load_balancer.mode is LoadBalancerMode.LOCAL or vip is None:
        return "127.0.0.1"
    return "0.0.0.0" if vip.version == 4 else "::"  # noqa: S104 - the VIP is not on the node until keepalived puts it there
