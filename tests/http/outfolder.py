"""A generated OUT folder for the coordinator's tests: what docs/protocol.md says the generator writes, small."""

import hashlib
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

STAGES = ["preflight", "clock", "enrol", "files", "base", "pki", "init", "join", "verify", "backup", "scrub"]
FIRST, MASTERS, WORKERS = "m1", ("m1", "m2", "m3"), ("w1", "w2")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def leaf(
    authority: str,
    common_name: str,
    *,
    sans: Iterable[str] = (),
    usages: Iterable[str] = ("clientAuth",),
    organizations: Iterable[str] = (),
) -> dict[str, Any]:
    return {
        "authority": authority, "commonName": common_name, "organizations": list(organizations), "sans": list(sans),
        "usages": list(usages), "days": 365,
    }  # fmt: skip


def certificates(name: str, address: str, *, master: bool) -> dict[str, Any]:
    own = [f"DNS:{name}", f"IP:{address}"]
    kubelet = {"organizations": ["system:nodes"]}
    kinds = {
        "kubelet-serving": leaf("kubernetes", f"system:node:{name}", sans=own, usages=["serverAuth"], **kubelet),
        "kubelet-client": leaf("kubernetes", f"system:node:{name}", **kubelet),
    }
    if master:
        kinds["apiserver"] = leaf("kubernetes", "kube-apiserver", sans=["DNS:kubernetes", *own], usages=["serverAuth"])
        kinds["admin"] = leaf("kubernetes", "kubernetes-admin", organizations=["system:masters"])
        kinds["front-proxy-client"] = leaf("front-proxy", "front-proxy-client")
        kinds["etcd-peer"] = leaf("etcd", name, sans=own, usages=["serverAuth", "clientAuth"])
    return kinds


@dataclass
class OutFolder:
    """An OUT folder and the secrets that its seeds hold."""

    root: Path
    inventory: dict[str, Any]
    secrets: dict[str, str] = field(default_factory=dict)

    def node(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.inventory["nodes"][name]
        return found

    def seal(self, name: str) -> str:
        """The Authorization header of the node's seed."""
        return f"Enrolment {self.node(name)['enrolId']}:{self.secrets[name]}"

    def add_worker(self, name: str) -> None:
        """One more worker; its files are those of the cluster alone."""
        make_node(self, name, 11 + len(self.inventory["nodes"]), ["worker"])
        self.inventory["filesets"][name] = []

    def write_inventory(self) -> None:
        path = self.root / "coordinator" / "inventory.json"
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(self.inventory))
        temporary.replace(path)


def make_node(out: OutFolder, name: str, last: int, roles: list[str]) -> None:
    out.secrets[name] = secrets.token_hex(32)
    address = f"192.168.{77 + last // 250}.{last % 250 + 1}"
    out.inventory["nodes"][name] = {
        "generation": 1, "roles": roles, "address": address, "macs": [f"52:54:00:00:{last >> 8:02x}:{last & 255:02x}"],
        "enrolId": secrets.token_hex(8), "secretDigest": sha256(out.secrets[name].encode()),
        "filesets": ["cluster", name], "skipStages": [],
        "certificates": certificates(name, address, master="master" in roles),
    }  # fmt: skip


def write_files(out: OutFolder) -> None:
    shared = {"sysctl.conf": b"net.ipv4.ip_forward=1\n", "containerd/certs.d/docker.io/hosts.toml": b"server\n"}
    contents = {"cluster": shared}
    contents |= {name: {"kubeadm-join.yaml": f"name: {name}\n".encode()} for name in out.inventory["nodes"]}
    for fileset, files in contents.items():
        for path, data in files.items():
            target = out.root / "coordinator" / "files" / fileset / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        entries = [{"path": path, "mode": "0644", "sha256": sha256(data)} for path, data in files.items()]
        out.inventory["filesets"][fileset] = entries


def write_secrets(out: OutFolder) -> None:
    """A root like the generator's: EC P-256, ten years."""
    certificate, key = make_root("kubeseed root of prod")
    folder = out.root / "secrets"
    folder.mkdir(mode=0o700)
    (folder / "root.crt").write_bytes(certificate)
    path = folder / "root.key"
    path.touch(mode=0o600)
    path.write_bytes(key)
    (out.root / "pxe").mkdir()
    (out.root / "pxe/ca.crt").write_bytes(certificate)


def make_root(name: str) -> tuple[bytes, bytes]:
    """A certificate authority's certificate and key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(3650))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(pem)
    return certificate, key.private_bytes(pem, pkcs8, serialization.NoEncryption())


def write_seeds(out: OutFolder) -> None:
    for name in out.inventory["nodes"]:
        folder = out.root / "pxe" / "seed" / name
        folder.mkdir(parents=True)
        for file in ("user-data", "meta-data", "network-config", "vendor-data"):
            (folder / file).write_text(f"#cloud-config\n# {file} of {name}\n")


def make_out(root: Path, port: int, join: str = "certificate", api_servers: Iterable[str] = ()) -> OutFolder:
    """Three masters, two workers, everything on loopback."""
    inventory = {
        "format": 1, "cluster": "prod", "specDigest": "0" * 64, "urls": [f"https://127.0.0.1:{port}"],
        "firstMaster": FIRST, "stages": STAGES, "endpoint": "https://127.0.0.1:6443",
        "apiServers": list(api_servers) or ["192.168.77.11:6443"],
        "join": join, "caDays": 36500, "encryption": "aescbc", "filesets": {}, "nodes": {},
    }  # fmt: skip
    out = OutFolder(root, inventory)
    (root / "coordinator").mkdir(parents=True)
    for last, name in enumerate((*MASTERS, *WORKERS), start=11):
        make_node(out, name, last, ["etcd", "master"] if name in MASTERS else ["worker"])
    write_files(out)
    write_secrets(out)
    write_seeds(out)
    out.write_inventory()
    return out
