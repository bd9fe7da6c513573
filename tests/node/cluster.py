"""Knows what a node meets when it makes or joins a cluster: the later routes, API servers, etcd, a kubelet."""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.node.coordinator import ENROL, Answer, Asked, Authority, Coordinator, Handler, accept, archive, refusal
from tests.node.machine import Machine

KUBESEED = "/usr/local/lib/kubeseed"
STAGE = f"{KUBESEED}/stage"
DISCOVERY = "apiVersion: v1\nkind: Config\nusers: [{name: kubeseed, user: {token: abcdef.0123456789abcdef}}]\n"
OTHER_MASTER = "127.0.0.2"
KINDS = {
    "apiserver": "pki/apiserver",
    "apiserver-kubelet-client": "pki/apiserver-kubelet-client",
    "front-proxy-client": "pki/front-proxy-client",
    "apiserver-etcd-client": "pki/apiserver-etcd-client",
    "etcd-healthcheck-client": "pki/etcd/healthcheck-client",
}
KUBECONFIGS = ("admin", "controller-manager", "scheduler")
STAGES = "preflight clock enrol files base engine packages load-balancer etcd pki init join verify addons scrub"
NGINX = """stream {
  upstream api {
    # kubeseed backends begin
    server 192.0.2.1:6443;
    # kubeseed backends end
  }
}
"""
FILES = {
    "containerd.toml": "version = 2\n",
    "containerd/certs.d/registry:5000/hosts.toml": 'server = "x"\n',
    "crictl.yaml": "runtime-endpoint: x\n",
    "kubeadm-init.yaml": "kind: InitConfiguration\n",
    "kubeadm-join.yaml": "kind: JoinConfiguration\n",
    "rbac.yaml": "kind: ClusterRole\n",
    "cni.yaml": "kind: DaemonSet\n",
    "audit-policy.yaml": "kind: Policy\n",
    "nginx.conf": NGINX,
    "labels": "m1 node-role.kubernetes.io/master=\nw1 node-role.kubernetes.io/worker= zone=a\ngone x=\n",
}
MASTER = "apiserver etcd-healthcheck-client admin kubelet-serving"  # keys take time: one test asks for all of them


class Epoch:
    """The authorities and shared keys of one init attempt."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.kubernetes, self.front_proxy, self.etcd = (
            Authority(f"{name} {number}") for name in ("k8s", "proxy", "etcd")
        )

    def of(self, kind: str) -> Authority:
        etcd = kind.startswith("etcd-") or kind == "apiserver-etcd-client"
        return self.etcd if etcd else self.front_proxy if kind == "front-proxy-client" else self.kubernetes

    def certificates(self) -> dict[str, str]:
        pairs = (("ca", self.kubernetes), ("front-proxy-ca", self.front_proxy), ("etcd-ca", self.etcd))
        return {f"{name}.crt": authority.pem() for name, authority in pairs}

    def keys(self) -> dict[str, str]:
        pairs = (("ca", self.kubernetes), ("front-proxy-ca", self.front_proxy), ("etcd/ca", self.etcd))
        files = {f"pki/{name}.crt": authority.pem() for name, authority in pairs}
        files |= {f"pki/{name}.key": authority.key_pem() for name, authority in pairs}
        return files | {
            "pki/sa.pub": "public",
            "pki/sa.key": "private",
            "encryption.yaml": "kind: EncryptionConfiguration\n",
        }


class Cluster(Coordinator):
    """A coordinator with an epoch, and what it and kubeadm bring to life on the machine."""

    def __init__(self, folder: Path, machine: Machine, files: Mapping[str, str]) -> None:
        super().__init__(folder, files)
        self.machine = machine
        self.epoch = Epoch(1)
        self.state = "none"
        self.members: list[dict[str, object]] = []
        self.removed: list[str] = []
        self.quorum = True
        self.refused_pods = False
        self._alive = False
        self.rules |= {
            "/v1/init/claim": self._claim,
            "/v1/init/complete": self._complete,
            "/v1/pki": lambda _: Answer(200, archive(self.epoch.keys()), self._epoch()),
            "/v1/authorities": self._authorities,
            "/v1/join": lambda _: Answer(200, DISCOVERY.encode()),
            "/v1/backends": lambda _: Answer(200, f"127.0.0.1:6443\n{OTHER_MASTER}:6443\n".encode(), {"ETag": '"b"'}),
        }
        for kind in (*KINDS, *KUBECONFIGS, "kubelet-serving", "kubelet-client", "etcd-server", "etcd-peer"):
            self.rules[f"/v1/certificates/{kind}"] = self._certificate

    def come_alive(self) -> None:
        """API servers, a kubelet and the etcd of two masters, under this epoch's authorities."""
        if self._alive:
            return
        self._alive = True
        healthy: Handler = lambda _: Answer(200, b"ok")  # noqa: E731
        self.serve_as(self._own_api, self.machine.listen(6443), self.epoch.kubernetes)
        for port in (8443, 10257, 10259):
            self.serve_as(healthy, self.machine.listen(port), self.epoch.kubernetes)
        self.serve_as(healthy, self.machine.listen(10248), None)
        self.serve_as(self._etcd, self.machine.listen(2379, OTHER_MASTER), self.epoch.etcd)
        self.serve_as(self._etcd, self.machine.listen(2379), self.epoch.etcd)

    def _own_api(self, _: Asked) -> Answer:
        manifest = self.machine.path("etc/kubernetes/manifests/kube-apiserver.yaml")
        whole = manifest.exists() and manifest.read_text() == "whole\n"
        return Answer(200, b"ok") if whole else Answer(503)

    def restart(self) -> None:
        """What lives under the authorities of another epoch ends; the next node to ask brings the new one to life."""
        for server in self._servers[1:]:
            server.shutdown()
            server.server_close()
        del self._servers[1:]
        self._alive = False

    def _epoch(self) -> dict[str, str]:
        return {"X-Epoch": str(self.epoch.number)}

    def _claim(self, _: Asked) -> Answer:
        self.state = "claimed" if self.state == "none" else self.state
        return Answer(200, json.dumps({"epoch": self.epoch.number, "state": self.state}).encode())

    def _complete(self, asked: Asked) -> Answer:
        digest = hashlib.sha256(self.epoch.kubernetes.pem().encode()).hexdigest()
        if asked.form["ca_digest"] != [digest] or asked.form["epoch"] != [str(self.epoch.number)]:
            return refusal(409, "the cluster was made under another CA")
        self.state = "complete"
        return accept(asked)

    def _authorities(self, _: Asked) -> Answer:
        self.come_alive()
        return Answer(200, archive(self.epoch.certificates()), self._epoch())

    def _certificate(self, asked: Asked) -> Answer:
        request = x509.load_pem_x509_csr(asked.body)
        kind = asked.route.rpartition("/")[2]
        return Answer(200, self.epoch.of(kind).sign(kind, request.public_key()).encode())

    def _etcd(self, asked: Asked) -> Answer:
        if not self.quorum or (self.refused_pods and "restart kubelet" not in self.machine.calls("systemctl")):
            return Answer(503)
        if asked.route.endswith("/member/remove"):
            self.removed.append(json.loads(asked.body)["ID"])
            self.members = [member for member in self.members if member["ID"] != self.removed[-1]]
        if asked.route.endswith("/maintenance/status"):
            return Answer(
                200, json.dumps({"header": {"cluster_id": "14841639068965178418"}}, separators=(",", ":")).encode()
            )
        return Answer(200, json.dumps({"header": {}, "members": self.members}, separators=(",", ":")).encode())


def belongs(machine: Machine, pair: str) -> bool:
    """Whether certificate and key of `pair` belong together."""
    certificate = x509.load_pem_x509_certificate(machine.path(f"{pair}.crt").read_bytes())
    return fits(certificate, machine.path(f"{pair}.key").read_bytes())


def is_elliptic(machine: Machine, pair: str) -> bool:
    """Whether the key of `pair` is one on a curve."""
    key = machine.path(f"etc/kubernetes/{pair}.key").read_bytes()
    return isinstance(serialization.load_pem_private_key(key, None), ec.EllipticCurvePrivateKey)


def fits(certificate: x509.Certificate, key: bytes) -> bool:
    private = serialization.load_pem_private_key(key, None)
    assert isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    return private.public_key() == certificate.public_key()


def client_of(machine: Machine, name: str) -> tuple[x509.Certificate, bytes]:
    """The certificate and key inside /etc/kubernetes/NAME.conf."""
    user = json.loads(machine.read(f"etc/kubernetes/{name}.conf"))["users"][0]["user"]
    certificate = x509.load_pem_x509_certificate(base64.b64decode(user["client-certificate-data"]))
    return certificate, base64.b64decode(user["client-key-data"])


def seed(cluster: Cluster, **facts: str) -> None:
    """A seed as a first master with stacked etcd gets it, but for these facts."""
    usual = {
        "STAGES": STAGES,
        "ROLES": "master",
        "ETCD_TOPOLOGY": "stacked",
        "ETCD_NAME": "",
        "CERTIFICATES": MASTER,
        "NETWORK_PLUGIN": "flannel",
        "CRI_SOCKET": "unix:///var/stand-in/containerd.sock",
    }
    cluster.machine.seed(cluster.root.pem(), ENROL, **{**usual, **facts})
    cluster.machine.listen_unix("var/stand-in/containerd.sock")


def joining(cluster: Cluster, node: str, roles: str, **facts: str) -> None:
    certificates = MASTER if "master" in roles else "kubelet-serving"
    cluster.state = "complete"
    seed(cluster, **{"NODE": node, "ROLES": roles, "CERTIFICATES": certificates, **facts})


def states(cluster: Cluster) -> dict[str, str]:
    """The last word on each stage."""
    return {word.split()[0]: word.split()[1] for word in cluster.reports()}


def kubeadm(machine: Machine) -> list[str]:
    return [call.split()[0] + ("-phase" if "phase" in call.split() else "") for call in machine.calls("kubeadm")]


def cut_in(cluster: Cluster, where: str) -> None:
    """Boots, and cuts the power where the stand-in for kubeadm stops: `init`, `join`, or `late-` before."""
    machine = cluster.machine
    machine.write(f"var/stand-in/half-{where}", "")
    machine.start()
    end = time.monotonic() + 60
    while not machine.path("var/stand-in/reached").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    machine.cut_power()
    machine.path("var/stand-in/reached").unlink()


def remember(look: Callable[[], None]) -> Callable[[Asked], Answer]:
    def answer(_: Asked) -> Answer:
        look()
        return Answer()

    return answer
