"""Knows the members of etcd, their URLs and the values they are tuned with, in both topologies."""

from collections.abc import Mapping
from dataclasses import dataclass

from generator.plan.load_balancer import join_host_port
from generator.spec.cluster import Cluster
from generator.spec.etcd import EtcdTopology
from generator.spec.frozenmap import FrozenMap
from generator.spec.node import Node

CLIENT_PORT = 2379
PEER_PORT = 2380
METRICS_URL = "http://127.0.0.1:2381"
TOKEN = "etcd-cluster-token"  # noqa: S105 - etcd's name for a word that keeps two clusters apart; no secret

# The first minor release of Kubernetes with each. kubeadm refuses an external etcd below a limit that rises with patch
# releases (constants.MinExternalEtcdVersion), so these are the newest it names (constants.SupportedEtcdVersion).
_TAGS = ((34, "3.6.9-0"), (29, "3.5.24-0"))
_OLDEST_TAG = "3.5.15-0"

# ECDHE with AES-GCM, for RSA and ECDSA keys alike; Go chooses the suites of TLS 1.3 itself.
CIPHER_SUITES = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
)

# Flags of etcd: compaction every hour keeps the database small, 8 GiB is the largest that upstream advises.
# The mode is etcd's default as a flag, but not in the configuration file of 3.4: there it would not compact at all.
TUNING: Mapping[str, str] = FrozenMap({
    "snapshot-count": "10000",
    "auto-compaction-mode": "periodic",
    "auto-compaction-retention": "1",
    "max-request-bytes": "10485760",
    "quota-backend-bytes": "8589934592",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """One etcd member."""

    name: str
    host: str

    @property
    def client_url(self) -> str:
        return f"https://{join_host_port(self.host, CLIENT_PORT)}"

    @property
    def peer_url(self) -> str:
        return f"https://{join_host_port(self.host, PEER_PORT)}"


def plan_member(node: Node) -> Member:
    """The node's own member."""
    return Member(f"etcd-{node.name}", str(node.address))


def plan_members(cluster: Cluster) -> tuple[Member, ...]:
    """All members, in the order of the spec."""
    return tuple(plan_member(node) for node in cluster.etcd_members)


def etcd_image(cluster: Cluster) -> str:
    """The image that an external member's programs come from where the machine has none."""
    kubernetes = cluster.kubernetes
    newest = next((tag for minor, tag in _TAGS if kubernetes.version.minor >= minor), _OLDEST_TAG)
    return f"{kubernetes.image_repository}/etcd:{kubernetes.images.etcd or newest}"


def runs_external_member(cluster: Cluster, node: Node) -> bool:
    """Whether kubeseed itself, and not kubeadm, runs an etcd member on this node."""
    return cluster.etcd.topology is EtcdTopology.EXTERNAL and cluster.runs_etcd(node)
