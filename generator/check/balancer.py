"""Knows when the road to the API servers can work: VIP, external address and ports."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from generator.check.finding import Finding, warning
from generator.spec.cluster import Cluster
from generator.spec.load_balancer import LoadBalancerEngine, LoadBalancerMode
from generator.spec.node import Node, Role
from generator.value import Address, InvalidValueError, parse_address

API_SERVER_PORT = 6443
# Listened on by SSH, etcd, kubelet, kube-proxy and the control plane on a node that may also run the load balancer.
_TAKEN = {
    22: "SSH",
    2379: "etcd",
    2380: "etcd",
    2381: "etcd",
    10248: "the kubelet",
    10249: "kube-proxy",
    10250: "the kubelet",
    10256: "kube-proxy",
    10257: "the controller manager",
    10259: "the scheduler",
}


def check_vip(cluster: Cluster) -> Iterator[Finding]:
    """VRRP needs an IPv4 address of its own and two machines to move it between."""
    if cluster.load_balancer.mode is not LoadBalancerMode.VIP:
        return
    vip, carriers = cluster.load_balancer.vip, cluster.load_balancers
    if len(carriers) < 2:
        hint = "add lb to the roles of at least two nodes (masters may have it)"
        yield Finding(
            ("loadBalancer", "mode"), f"a VIP moves between nodes of role lb, and there are {len(carriers)}", hint
        )
    if vip is None:
        yield Finding(
            ("loadBalancer", "vip"), "mode vip needs an address", "write an unused one of the lb nodes' network"
        )
    else:
        yield from _vip_address(cluster, vip, carriers)


def _vip_address(cluster: Cluster, vip: Address, carriers: tuple[Node, ...]) -> Iterator[Finding]:
    path = ("loadBalancer", "vip")
    if vip.version != 4:
        yield Finding(path, "the VIP has to be an IPv4 address", "with IPv6 use mode local or external")
        return
    owners = {node.address: str(node.name) for node in cluster.nodes}
    owners |= {found: "the coordinator" for url in cluster.coordinator.all_urls if (found := _address_of(url))}
    if vip in owners:
        yield Finding(path, f"{vip} is the address of {owners[vip]}", "choose an address that no machine has")
    for node in carriers:
        if vip not in node.subnet:
            hint = "the VIP has to lie in the network of every node of role lb"
            yield Finding(path, f"{vip} is not in {node.subnet}, the network of {node.name}", hint)


def _address_of(url: str) -> Address | None:
    """The host of a URL, where it is an address."""
    try:
        return parse_address(urlsplit(url).hostname or "")
    except InvalidValueError:
        return None


def check_external(cluster: Cluster) -> Iterator[Finding]:
    """With mode external the address is the only thing known of the load balancer; no node listens on its port."""
    balancer, path = cluster.load_balancer, ("loadBalancer", "address")
    if balancer.mode is not LoadBalancerMode.EXTERNAL:
        return
    if balancer.address is None:
        yield Finding(path, "mode external needs the address of your load balancer")
    for node in cluster.nodes:
        serves = Role.MASTER in node.roles and balancer.port == API_SERVER_PORT
        if str(node.address) == balancer.address and not serves:
            message = f"{node.address} is {node.name}, where nothing listens on port {balancer.port}"
            hint = f"write your load balancer's; a single master is reached directly with port {API_SERVER_PORT}"
            yield Finding(path, message, hint)


def check_stray_addresses(cluster: Cluster) -> Iterator[Finding]:
    """An address that the mode does not use is a misunderstanding."""
    balancer = cluster.load_balancer
    for key, value, mode in (
        ("vip", balancer.vip, LoadBalancerMode.VIP),
        ("address", balancer.address, LoadBalancerMode.EXTERNAL),
    ):
        if value is not None and balancer.mode is not mode:
            message = f"{key} is set, but mode {balancer.mode} does not use it"
            yield Finding(("loadBalancer", key), message, f"set loadBalancer.mode: {mode}, or remove {key}")


def _runs_beside_api_server(cluster: Cluster) -> bool:
    """Whether a machine runs both the load balancer and an API server."""
    if cluster.load_balancer.mode is LoadBalancerMode.VIP:
        return any(Role.MASTER in node.roles for node in cluster.load_balancers)
    return cluster.load_balancer.mode is LoadBalancerMode.LOCAL


def check_api_port(cluster: Cluster) -> Iterator[Finding]:
    """The API server listens on 6443 itself."""
    if cluster.load_balancer.port == API_SERVER_PORT and _runs_beside_api_server(cluster):
        message = "port 6443 is the API server's own, on the same machine"
        yield Finding(("loadBalancer", "port"), message, "keep 8443, or run the load balancer on machines of its own")


def check_ports(cluster: Cluster) -> Iterator[Finding]:
    """On one machine every port has one owner."""
    balancer = cluster.load_balancer
    if balancer.mode is LoadBalancerMode.EXTERNAL:
        return
    owners = dict(_TAKEN)
    ports = {"port": balancer.port, "healthPort": balancer.health_port}
    if balancer.engine is not LoadBalancerEngine.NGINX:
        ports["statsPort"] = balancer.stats_port
    for key, port in ports.items():
        if port in owners:
            yield Finding(
                ("loadBalancer", key), f"port {port} is already taken by {owners[port]}", "choose another port"
            )
        elif port in cluster.kubernetes.node_port_range:
            message = f"port {port} is in nodePortRange ({cluster.kubernetes.node_port_range})"
            yield Finding(("loadBalancer", key), message, "choose a port outside of the range")
        owners.setdefault(port, f"loadBalancer.{key}")


def check_node_ports(cluster: Cluster) -> Iterator[Finding]:
    """Ports of services are not those of the machine's own programs."""
    ports = cluster.kubernetes.node_port_range
    taken = {port: owner for port, owner in {**_TAKEN, API_SERVER_PORT: "the API server"}.items() if port in ports}
    if taken:
        shown = ", ".join(f"{port} ({owner})" for port, owner in sorted(taken.items())[:4])
        message = f"{ports} holds ports of the machines themselves: {shown}{' ...' if len(taken) > 4 else ''}"
        yield Finding(("kubernetes", "nodePortRange"), message, "choose a range without them, like 30000-32767")


def check_router_password(cluster: Cluster) -> Iterator[Finding]:
    """A VRRP password without a VIP does nothing."""
    balancer = cluster.load_balancer
    if balancer.keepalived.password is not None and balancer.mode is not LoadBalancerMode.VIP:
        yield warning(("loadBalancer", "keepalived", "password"), "only mode vip uses a password")
