"""Knows every certificate that the coordinator may sign for a node: kubeadm's names, for the roles of the spec."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from generator.plan.load_balancer import endpoint_host
from generator.spec.bootstrap import JoinMode
from generator.spec.cluster import Cluster
from generator.spec.frozenmap import FrozenMap
from generator.spec.node import Node, Role
from generator.value import InvalidValueError, parse_address

# kubeadm's constants: names in certificates, and the group of admin.conf before and after 1.29.
ADMINS_UNTIL_1_28 = "system:masters"
ADMINS = "kubeadm:cluster-admins"
KUBELET_API_USER = "kube-apiserver-kubelet-client"


class Authority(StrEnum):
    """The three certificate authorities of a cluster; none signs another."""

    KUBERNETES = "kubernetes"
    FRONT_PROXY = "front-proxy"
    ETCD = "etcd"


class Usage(StrEnum):
    """RFC 5280 extended key usages."""

    SERVER = "serverAuth"
    CLIENT = "clientAuth"


@dataclass(frozen=True, slots=True)
class Certificate:
    """All that a certificate says but for its public key; `sans` as OpenSSL writes them, `days` of validity."""

    authority: Authority
    common_name: str
    usages: tuple[Usage, ...]
    organizations: tuple[str, ...] = ()
    sans: tuple[str, ...] = ()

    def as_inventory(self, days: int) -> dict[str, str | int | list[str]]:
        """The entry of the inventory's `certificates` (docs/protocol.md)."""
        return {
            "authority": self.authority.value,
            "commonName": self.common_name,
            "organizations": list(self.organizations),
            "sans": list(self.sans),
            "usages": [usage.value for usage in self.usages],
            "days": days,
        }


def plan_certificates(cluster: Cluster, node: Node) -> Mapping[str, Certificate]:
    """The kinds that this node may ask for, and nothing else."""
    return FrozenMap(dict(_kinds(cluster, node)))


def inventory_certificates(cluster: Cluster, node: Node) -> dict[str, dict[str, str | int | list[str]]]:
    """The `certificates` object of a node in the inventory (docs/protocol.md)."""
    days = cluster.kubernetes.certificate_validity.leaf.days
    return {kind: certificate.as_inventory(days) for kind, certificate in plan_certificates(cluster, node).items()}


def _kinds(cluster: Cluster, node: Node) -> Iterator[tuple[str, Certificate]]:
    if Role.MASTER in node.roles:
        yield from _master_kinds(cluster)
    if cluster.runs_etcd(node):
        yield from _etcd_kinds(node)
    if {Role.MASTER, Role.WORKER} & set(node.roles):
        yield from _kubelet_kinds(cluster, node)


def _master_kinds(cluster: Cluster) -> Iterator[tuple[str, Certificate]]:
    yield "apiserver", _server(Authority.KUBERNETES, "kube-apiserver", api_server_sans(cluster))
    # Without O=system:masters: rbac.yaml binds the user to system:kubelet-api-admin, as kubeadm does since 1.36.1.
    yield "apiserver-kubelet-client", _client(Authority.KUBERNETES, KUBELET_API_USER)
    yield "admin", _client(Authority.KUBERNETES, "kubernetes-admin", (_admin_group(cluster),))
    yield "controller-manager", _client(Authority.KUBERNETES, "system:kube-controller-manager")
    yield "scheduler", _client(Authority.KUBERNETES, "system:kube-scheduler")
    yield "front-proxy-client", _client(Authority.FRONT_PROXY, "front-proxy-client")
    yield "apiserver-etcd-client", _client(Authority.ETCD, "kube-apiserver-etcd-client")


def _etcd_kinds(node: Node) -> Iterator[tuple[str, Certificate]]:
    sans = alternative_names((node.name, "localhost", str(node.address), "127.0.0.1", "::1"))
    # etcd dials itself with its server certificate (gRPC gateway), so that one is a client certificate too.
    both = Certificate(Authority.ETCD, node.name, (Usage.SERVER, Usage.CLIENT), sans=sans)
    yield "etcd-server", both
    yield "etcd-peer", both
    yield "etcd-healthcheck-client", _client(Authority.ETCD, "kube-etcd-healthcheck-client")


def _kubelet_kinds(cluster: Cluster, node: Node) -> Iterator[tuple[str, Certificate]]:
    identity, group = f"system:node:{node.name}", ("system:nodes",)
    sans = alternative_names((node.name, str(node.address)))
    yield "kubelet-serving", Certificate(Authority.KUBERNETES, identity, (Usage.SERVER,), group, sans)
    if cluster.bootstrap.join is JoinMode.CERTIFICATE:
        yield "kubelet-client", _client(Authority.KUBERNETES, identity, group)


def _server(authority: Authority, name: str, sans: tuple[str, ...]) -> Certificate:
    return Certificate(authority, name, (Usage.SERVER,), sans=sans)


def _client(authority: Authority, name: str, organizations: tuple[str, ...] = ()) -> Certificate:
    return Certificate(authority, name, (Usage.CLIENT,), organizations)


def _admin_group(cluster: Cluster) -> str:
    return ADMINS if cluster.kubernetes.version.minor >= 29 else ADMINS_UNTIL_1_28


def api_server_sans(cluster: Cluster) -> tuple[str, ...]:
    """Every name of an API server, the same on all masters, so that a certificate outlives a change of its neighbours.

    A superset of what kubeadm checks (GetAPIServerAltNames): its own names, the first address of the service subnet,
    all masters, the endpoint, and `certSANs`.
    """
    service = "kubernetes.default.svc"
    names = ["kubernetes", "kubernetes.default", service, f"{service}.{cluster.kubernetes.cluster_domain}", "localhost"]
    names += [text for master in cluster.masters for text in (master.name, str(master.address))]
    names += [str(cluster.network.service_subnet[1]), "127.0.0.1", "::1"]
    return alternative_names((*names, endpoint_host(cluster), *cluster.kubernetes.cert_sans))


def alternative_names(hosts: Iterable[str]) -> tuple[str, ...]:
    """`DNS:` or `IP:` before each host, every host once, in the order given."""
    return tuple(dict.fromkeys(_alternative_name(host) for host in hosts))


@lru_cache(maxsize=64)  # asked twice for every node
def _alternative_name(host: str) -> str:
    try:
        return f"IP:{parse_address(host)}"
    except InvalidValueError:
        return f"DNS:{host}"
