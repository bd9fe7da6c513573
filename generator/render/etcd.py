"""Knows etcd's configuration file (etcd.conf.yml, the same keys in 3.4 and 3.5)."""

from generator.plan.etcd import CIPHER_SUITES, METRICS_URL, TOKEN, TUNING, Member
from generator.plan.pki import ETCD_CA, ETCD_DIRECTORY
from generator.render.artefact import Artefact
from generator.render.dump import Data, dump_yaml

_NUMBERS = ("snapshot-count", "max-request-bytes", "quota-backend-bytes")


def render_etcd(member: Member, members: tuple[Member, ...], data_dir: str) -> Artefact:
    """`etcd.yaml` of one member of an external etcd. All listeners but the metrics on 127.0.0.1 want a certificate."""
    return Artefact("etcd.yaml", dump_yaml(etcd_configuration(member, members, data_dir)).encode())


def etcd_configuration(member: Member, members: tuple[Member, ...], data_dir: str) -> dict[str, Data]:
    """etcd.conf.yml: the flags' names, TLS in two sections."""
    return {
        "name": member.name,
        "data-dir": data_dir,
        "logger": "zap",
        "log-outputs": ["stderr"],
        "listen-client-urls": f"https://127.0.0.1:2379,{member.client_url}",
        "advertise-client-urls": member.client_url,
        "listen-peer-urls": member.peer_url,
        "initial-advertise-peer-urls": member.peer_url,
        "listen-metrics-urls": METRICS_URL,
        "initial-cluster": ",".join(f"{one.name}={one.peer_url}" for one in members),
        "initial-cluster-token": TOKEN,
        "initial-cluster-state": "new",
        "client-transport-security": _security("server"),
        "peer-transport-security": _security("peer"),
        "cipher-suites": CIPHER_SUITES,
        # The default of the flag, but not of 3.4's file; the node scripts ask over it.
        "enable-grpc-gateway": True,
        **{name: int(value) if name in _NUMBERS else value for name, value in TUNING.items()},
    }


def _security(kind: str) -> dict[str, Data]:
    return {
        "cert-file": f"{ETCD_DIRECTORY}/{kind}.crt",
        "key-file": f"{ETCD_DIRECTORY}/{kind}.key",
        "client-cert-auth": True,
        "trusted-ca-file": ETCD_CA,
    }
