"""Knows whether the cluster's networks are apart from each other and large enough."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from generator import value
from generator.check.finding import Finding
from generator.source import SpecPath
from generator.spec.cluster import Cluster
from generator.spec.engine import EngineName
from generator.spec.host import HostSettings
from generator.spec.node import Role
from generator.value import Network

# kube-controller-manager's node IPAM refuses a larger gap between the two prefixes (clusterCIDR too big).
_LARGEST_GAP = 16
# kube-apiserver's bounds of --service-cluster-ip-range: at most 20 bits of addresses; kubeadm needs the tenth for DNS.
_LARGEST_SERVICE_BITS, _SMALLEST_SERVICE_BITS = 20, 4


def _networks(cluster: Cluster) -> Iterator[tuple[SpecPath, str, Network]]:
    """Every network of the cluster with its path and name; nodes' networks once each."""
    yield ("network", "podSubnet"), "podSubnet", cluster.network.pod_subnet
    yield ("network", "serviceSubnet"), "serviceSubnet", cluster.network.service_subnet
    if cluster.engine.name is EngineName.DOCKER:
        bridge = value.parse_interface(cluster.engine.docker.bip).network
        yield ("engine", "docker", "bip"), "docker's bridge", bridge
    seen: dict[Network, int] = {}
    for number, node in enumerate(cluster.nodes):
        if seen.setdefault(node.subnet, number) == number:
            yield ("nodes", number, "address"), f"the network of {node.name}", node.subnet


def check_overlaps(cluster: Cluster) -> Iterator[Finding]:
    """Pods, services, docker's bridge and machines have addresses of their own, or packets go astray."""
    known: list[tuple[str, Network]] = []
    for path, name, network in _networks(cluster):
        machines = path[0] == "nodes"
        for other, taken in known:
            if network.version == taken.version and network.overlaps(taken):
                yield Finding(path, f"{name} {network} overlaps {other} {taken}", "choose networks that are apart")
        if not machines:
            known.append((name, network))


def _reached(cluster: Cluster) -> Iterator[tuple[SpecPath, str, str]]:
    """Hosts outside of the cluster that nodes talk to: path, what it is, address or name. Each once."""
    coordinator, proxy = cluster.coordinator, cluster.packages.proxy
    yield from ((("coordinator",), "the coordinator", _host(url)) for url in coordinator.all_urls)
    yield ("coordinator", "bootUrl"), "the boot server", _host(coordinator.boot_url)
    yield ("packages", "proxy", "http"), "the proxy", _host(proxy.http)
    yield ("packages", "proxy", "https"), "the proxy", _host(proxy.https)
    yield ("loadBalancer", "address"), "the load balancer", cluster.load_balancer.address or ""
    yield from _servers(cluster)


def _servers(cluster: Cluster) -> Iterator[tuple[SpecPath, str, str]]:
    """Time and name servers, each where it is first named."""
    seen: set[str] = set()
    places: list[tuple[SpecPath, HostSettings]] = [(("defaults",), cluster.defaults)]
    places += [(("nodes", number), node) for number, node in enumerate(cluster.nodes)]
    for path, settings in places:
        named: list[tuple[SpecPath, str]] = [(("ntp",), server) for server in settings.ntp]
        named += [(("network", "nameservers"), str(server)) for server in settings.network.nameservers]
        for key, server in named:
            if server not in seen:
                seen.add(server)
                yield (*path, *key), "the server", server


def _host(url: str | None) -> str:
    return (urlsplit(url).hostname or "") if url else ""


def check_reached(cluster: Cluster) -> Iterator[Finding]:
    """What lies outside is not in a network of pods or services: packets to it would never leave the node."""
    networks = list(_networks(cluster))
    inside = [(name, network) for path, name, network in networks if path[0] != "nodes"]
    machines = [network for path, _, network in networks if path[0] == "nodes"]
    for path, what, host in _reached(cluster):
        address = _address(host)
        if address is None or any(address in network for network in machines):
            continue  # a network of machines that overlaps is told as such
        for name, network in inside:
            if address in network:
                message = f"{what} {address} is in {name} {network}, so no node reaches it"
                yield Finding(path, message, "choose networks that nothing else in reach uses")


def _address(host: str) -> value.Address | None:
    try:
        return value.parse_address(host)
    except value.InvalidValueError:
        return None


def check_families(cluster: Cluster) -> Iterator[Finding]:
    """kubeseed builds single-stack clusters: machines, pods and services speak the same IP."""
    family = cluster.network.pod_subnet.version
    if cluster.network.service_subnet.version != family:
        yield Finding(("network", "serviceSubnet"), f"podSubnet is IPv{family}, serviceSubnet is not", "use one family")
    for number, node in enumerate(cluster.nodes):
        if node.address.version != family:
            message = f"{node.name} has an IPv{node.address.version} address, but podSubnet is IPv{family}"
            yield Finding(("nodes", number, "address"), message, "use one family for machines, pods and services")


def check_service_size(cluster: Cluster) -> Iterator[Finding]:
    """The API server takes service networks of 4 to 20 bits."""
    network = cluster.network.service_subnet
    bits = network.max_prefixlen - network.prefixlen
    if not _SMALLEST_SERVICE_BITS <= bits <= _LARGEST_SERVICE_BITS:
        least, most = network.max_prefixlen - _LARGEST_SERVICE_BITS, network.max_prefixlen - _SMALLEST_SERVICE_BITS
        yield Finding(
            ("network", "serviceSubnet"),
            f"Kubernetes cannot use a service network of /{network.prefixlen}",
            f"choose a prefix from /{least} to /{most}",
        )


def check_node_prefix(cluster: Cluster) -> Iterator[Finding]:
    """Each node gets a share of podSubnet; there have to be enough shares for all nodes."""
    network, prefix = cluster.network.pod_subnet, cluster.network.node_prefix
    gap = prefix - network.prefixlen
    path = ("network", "nodePrefix")
    if not 0 <= gap <= _LARGEST_GAP or prefix > network.max_prefixlen - 2:
        least, most = network.prefixlen, min(network.prefixlen + _LARGEST_GAP, network.max_prefixlen - 2)
        yield Finding(
            path,
            f"a /{prefix} for each node does not fit podSubnet {network}",
            f"choose a prefix from {least} to {most}",
        )
        return
    pods = sum(1 for node in cluster.nodes if {Role.MASTER, Role.WORKER} & set(node.roles))
    if pods > 2**gap:
        hint = f"use a larger podSubnet, or a nodePrefix of at least {network.prefixlen + (pods - 1).bit_length()}"
        yield Finding(path, f"podSubnet {network} holds {2**gap} nodes of /{prefix}, and the spec has {pods}", hint)


def check_max_pods(cluster: Cluster) -> Iterator[Finding]:
    """A node's share holds its pods, without the network's own address, the gateway and the broadcast address."""
    width, prefix, wanted = (
        cluster.network.pod_subnet.max_prefixlen,
        cluster.network.node_prefix,
        cluster.kubernetes.max_pods,
    )
    room = max(2 ** max(width - prefix, 0) - 3, 0)
    if wanted > room:
        hint = f"set network.nodePrefix to at most {width - (wanted + 2).bit_length()}, or lower maxPods"
        yield Finding(
            ("kubernetes", "maxPods"), f"a node's /{prefix} has addresses for {room} pods, not {wanted}", hint
        )
