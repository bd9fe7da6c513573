"""Issues a node's certificates as the coordinator does, from the inventory's entries, at kubeadm's places."""

import time
from pathlib import Path

from generator.plan.certificates import inventory_certificates
from generator.spec.cluster import Cluster
from generator.spec.node import Node
from http_server.inventory import Certificate
from http_server.model import Grant
from http_server.pki import Authority, certificate_pem, issue, key_pem, make_authority, make_rsa_key

# Below pki/: docs/node.md, Certificates.
_PLACES = {
    "etcd-server": "etcd/server",
    "etcd-peer": "etcd/peer",
    "etcd-healthcheck-client": "etcd/healthcheck-client",
}
_AUTHORITIES = {"kubernetes": "ca", "front-proxy": "front-proxy-ca", "etcd": "etcd/ca"}


def make_authorities() -> dict[str, Authority]:
    """The three of a cluster, by the inventory's names."""
    return {name: make_authority(name, 30, time.time()) for name in _AUTHORITIES}


def write_pki(cluster: Cluster, node: Node, authorities: dict[str, Authority], folder: Path, *, keys: bool) -> None:
    """Certificates and keys below `folder`; the keys of the authorities too when `keys`."""
    for name, authority in authorities.items():
        _write(folder / f"{_AUTHORITIES[name]}.crt", certificate_pem(authority.certificate))
        if keys:
            _write(folder / f"{_AUTHORITIES[name]}.key", key_pem(authority.key).reveal())
    for kind, entry in inventory_certificates(cluster, node).items():
        profile = Certificate.model_validate(entry)
        own = make_rsa_key()
        signed = issue(Grant(1, profile), own.public_key(), authorities[profile.authority], time.time())
        _write(folder / f"{_PLACES.get(kind, kind)}.crt", certificate_pem(signed))
        _write(folder / f"{_PLACES.get(kind, kind)}.key", key_pem(own).reveal())


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o600)
