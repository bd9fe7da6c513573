"""What must be true of every cluster: certificates as the spec says, keys private and unshared, no token, no leak."""

import base64
import datetime
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtensionOID

from tests.cluster.place import Cluster
from tests.cluster.spec import CA_DAYS, LEAF_DAYS, address
from tests.lab.journal import export
from tests.lab.secret_search import (
    Finding,
    search_all,
    search_readable,
    search_words,
    secrets_of_node,
    secrets_of_out,
)

# Of the epoch, the same on every master; kubeadm needs them there.
SHARED = frozenset({"pki/ca.key", "pki/sa.key", "pki/front-proxy-ca.key", "pki/etcd/ca.key"})
KEY_PLACES = ("etc/kubernetes", "etc/kubeseed", "var/lib/kubelet/pki", "var/lib/kubeseed")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate on a node's disk. `days` is how long it is good from now on: it has just been issued."""

    path: str
    days: int
    names: frozenset[str]


def certificates(root: Path) -> Iterator[Certificate]:
    """Every certificate below /etc/kubernetes/pki and the kubelet's serving certificate."""
    files = [*(root / "etc/kubernetes/pki").rglob("*.crt"), root / "var/lib/kubelet/pki/kubelet.crt"]
    for file in files:
        if file.exists():
            found = x509.load_pem_x509_certificate(file.read_bytes())
            life = found.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
            yield Certificate(
                str(file.relative_to(root)), round(life.total_seconds() / 86400), frozenset(_names(found))
            )


def _names(certificate: x509.Certificate) -> Iterator[str]:
    try:
        names = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        return
    if isinstance(names, x509.SubjectAlternativeName):
        yield from names.get_values_for_type(x509.DNSName)
        yield from map(str, names.get_values_for_type(x509.IPAddress))


def check_certificates(cluster: Cluster) -> None:
    """Validity and names are the spec's on every node."""
    for name in cluster.shape.names:
        found = {certificate.path: certificate for certificate in certificates(cluster.root(name))}
        days = {f"{name}:{path}": certificate.days for path, certificate in found.items()}
        assert {path: _days(path) for path in days} == days
        assert found["var/lib/kubelet/pki/kubelet.crt"].names == {name, address(name)}
        if name in cluster.shape.master_names:
            wanted = {"kubernetes.default.svc.cluster.local", name, address(name), "127.0.0.1"}
            assert wanted <= found["etc/kubernetes/pki/apiserver.crt"].names
            told = cluster.inside(
                name, "openssl", "x509", "-in", "/etc/kubernetes/pki/apiserver.crt", "-noout", "-text"
            )
            assert f"DNS:{name}" in told
            assert f"IP Address:{address(name)}" in told


def _days(path: str) -> int:
    return CA_DAYS if path.endswith("ca.crt") else LEAF_DAYS


def check_keys(cluster: Cluster) -> None:
    """Private keys are 0600, and no two nodes have the same one but for the cluster's own on masters."""
    owners: Counter[bytes] = Counter()
    for name in cluster.shape.names:
        root = cluster.root(name)
        places = [path for place in KEY_PLACES for path in (root / place).rglob("*") if path.is_file()]
        holders = {path: keys for path in places if not path.is_symlink() and (keys := list(_keys(path)))}
        open_to_others = {f"{name}:{path}": oct(path.stat().st_mode) for path in holders if path.stat().st_mode & 0o077}
        assert open_to_others == {}
        unshared = (keys for path, keys in holders.items() if not str(path).endswith(tuple(SHARED)))
        owners.update({_public(key) for keys in unshared for key in keys})
    assert owners
    assert [key for key, count in owners.items() if count > 1] == []


def _keys(path: Path) -> Iterator[PrivateKeyTypes]:
    """Private keys in a file: PEM, or base64 of PEM as kubeconfigs have it."""
    data = path.read_bytes()
    for line in re.findall(rb'key-data"?: *"?([A-Za-z0-9+/=]+)', data):
        data += base64.b64decode(line)
    for pem in re.findall(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.+?-----END [A-Z ]*PRIVATE KEY-----", data, re.DOTALL):
        yield load_pem_private_key(pem, None)


def _public(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def check_no_token_is_left(cluster: Cluster, master: str) -> None:
    """The API holds no bootstrap token."""
    kind = "type=bootstrap.kubernetes.io/token"
    told = cluster.kubectl(master, "get", "secrets", "-n", "kube-system", "--field-selector", kind, "-o", "json")
    assert [item["metadata"]["name"] for item in json.loads(told)["items"]] == []


def check_silence(cluster: Cluster, scratch: Path) -> None:
    """No secret in logs, arguments, environments, public files, or where any user of a node could read it."""
    secrets = secrets_of_out(cluster.site.out)
    for name in cluster.shape.names:
        secrets |= secrets_of_node(name, cluster.root(name))
    found = list(_leaks(cluster, secrets, scratch))
    assert found == []


def _leaks(cluster: Cluster, secrets: Mapping[str, bytes], scratch: Path) -> Iterable[Finding]:
    for name in cluster.shape.names:
        root = cluster.root(name)
        # Container images and packages came with the image; nothing of the cluster is written there.
        for place in ("etc", "var/lib/kubelet", "var/lib/kubeseed", "var/lib/etcd", "root", "home", "tmp", "opt"):
            if (root / place).exists():
                yield from search_readable(root / place, secrets, scratch)
        journal = export(root, scratch / f"journal-{name}")
        yield from search_all([root / "var/log", journal], secrets, scratch)
        yield from search_all((cluster.site.out / "vm" / name).glob("*.log"), secrets, scratch)
    public = [*cluster.site.folder.glob("*.log"), cluster.site.out / "pxe"]
    yield from search_all(public, secrets, scratch)
    yield from search_words(frozenset(cluster.processes.words), secrets)


def check_everything(cluster: Cluster, master: str, scratch: Path) -> None:
    """All of the above."""
    check_certificates(cluster)
    check_keys(cluster)
    check_no_token_is_left(cluster, master)
    check_silence(cluster, scratch)
