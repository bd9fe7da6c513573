"""A coordinator beside an etcd cluster, and nodes that know it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.backup.etcd import Authority, Cluster
from tests.backup.node import Node
from tests.http.process import Coordinator, Machine, unpack


@dataclass(frozen=True)
class Site:
    """A coordinator, a cluster of one under its epoch's etcd authority, and the machine whose credential it knows."""

    coordinator: Coordinator
    cluster: Cluster
    machine: Machine

    @property
    def stored(self) -> Path:
        return self.coordinator.out.root / "state" / "backups"

    def ids(self) -> list[str]:
        return sorted(path.name for path in (self.stored / "copies").iterdir())

    def post(self, path: str, content: bytes, media_type: str, **headers: str) -> httpx.Response:
        with self.coordinator.anybody(Authorization=self.machine.header, **headers) as client:
            return client.post(path, content=content, headers={"Content-Type": media_type})

    def audit(self, action: str) -> list[dict[str, str]]:
        return [row["detail"] for row in self.coordinator.events() if row["action"] == action]


def authority_of(machine: Machine) -> Authority:
    """The etcd authority of the coordinator's epoch, as a master fetches it."""
    key = load_pem_private_key(unpack(machine.get("/v1/pki").content)["pki/etcd/ca.key"], None)
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    return Authority("etcd-ca", key)


def enrol(node: Node, coordinator: Coordinator, machine: Machine) -> None:
    """The node speaks to the coordinator with this machine's credential."""
    (node.root / "etc/kubeseed/ca.crt").write_bytes((coordinator.out.root / "secrets/root.crt").read_bytes())
    (node.root / "etc/kubeseed/node.curl").write_text(f'header = "Authorization: {machine.header}"\n')


def kubeseed(*words: str) -> subprocess.CompletedProcess[str]:
    """The operator's command."""
    environment = {**os.environ, "COLUMNS": "200"}
    program = [sys.executable, "-m", "generator.cli", *words]
    return subprocess.run(program, capture_output=True, text=True, timeout=60, env=environment, check=False)
