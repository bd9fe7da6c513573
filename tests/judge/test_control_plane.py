"""A real API server, controller manager and scheduler run on what we write; the coordinator may do its work only."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from generator.render.cni import render_cni
from generator.render.rbac import render_rbac
from tests.judge.control_plane import ControlPlane, control_plane
from tests.judge.coordinator_calls import SECRET, TOKEN

pytestmark = pytest.mark.judge
AUTO_APPROVE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "kubeadm:node-autoapprove-bootstrap"}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: system:certificates.k8s.io:certificatesigningrequests:nodeclient
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: "system:bootstrappers:kubeadm:default-node-token"}
"""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("plane")) as running:
        assert running.answers("https://192.168.77.11:6443/readyz"), running.log("kube-apiserver")[-3000:]
        running.apply("rbac.yaml", render_rbac().data)
        yield running


def test_kubeadm_keeps_every_certificate_that_the_coordinator_signed(plane: ControlPlane) -> None:
    said = plane.said["certs all"]
    for name in ("ca", "apiserver", "apiserver-kubelet-client", "front-proxy-ca", "front-proxy-client"):
        assert f"[certs] Using existing {name} certificate" in said.replace("authority", "certificate")
    assert "Generating" not in said


def test_kubeadm_knows_every_field(plane: ControlPlane) -> None:
    said = plane.kubeadm("config", "images", "list", "--config", str(plane.folder / "init.yaml"))
    assert "registry.k8s.io/kube-apiserver:v1.20.2" in said.stdout
    assert "unknown field" not in said.stderr
    documents = list(yaml.safe_load_all((plane.folder / "init.yaml").read_text()))
    documents[1]["apiServer"]["certificateSANs"] = ["typo"]
    (plane.folder / "typo.yaml").write_text(yaml.safe_dump_all(documents))
    refused = plane.kubeadm("config", "images", "list", "--config", str(plane.folder / "typo.yaml"))
    assert "unknown field" in refused.stderr


def test_the_whole_control_plane_is_healthy(plane: ControlPlane) -> None:
    deadline = time.monotonic() + 60
    for port in (10257, 10259):
        while not plane.answers(f"https://127.0.0.1:{port}/healthz") and time.monotonic() < deadline:
            time.sleep(1)
        assert plane.answers(f"https://127.0.0.1:{port}/healthz"), port


def test_secrets_lie_encrypted_in_etcd(plane: ControlPlane) -> None:
    made = plane.kubectl("create", "secret", "generic", "canary", "--from-literal=word=xyzzy-plugh")
    assert made.returncode == 0, made.stderr
    pki = plane.folder / "kubernetes" / "pki"
    own = ["--cert", f"{pki}/apiserver-etcd-client.crt", "--key", f"{pki}/apiserver-etcd-client.key"]
    reach = ["--cacert", f"{pki}/etcd/ca.crt", "--endpoints", "https://192.168.77.11:2379"]
    get = ["etcdctl", *reach, *own, "get", "/registry/secrets/default/canary", "--write-out", "json"]
    (entry,) = json.loads(plane.machine.call(get, ETCDCTL_API="3").stdout)["kvs"]
    stored = base64.b64decode(entry["value"])
    assert stored.startswith(b"k8s:enc:aescbc:v1:key1:")
    assert b"xyzzy" not in stored


def test_the_audit_log_names_the_secret_and_not_its_value(plane: ControlPlane) -> None:
    log = (plane.folder / "audit" / "audit.log").read_text()
    assert '"resource":"secrets"' in log
    assert "xyzzy" not in log
    assert base64.b64encode(b"xyzzy-plugh").decode() not in log


def may(plane: ControlPlane, user: str, verb: str, resource: str, namespace: str = "", name: str = "") -> bool:
    """authorization.k8s.io/v1 SubjectAccessReview; `resource` is RESOURCE[/SUBRESOURCE][.GROUP]."""
    plural, _, group = resource.partition(".")
    kind, _, part = plural.partition("/")
    attributes = {"verb": verb, "group": group, "resource": kind, "subresource": part}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": {**attributes, "namespace": namespace, "name": name}},
    }
    (plane.folder / "review.yaml").write_text(yaml.safe_dump(review))
    path = str(plane.folder / "review.yaml")
    said = plane.kubectl("create", "-f", path, "-o", "jsonpath={.status.allowed}")
    assert said.returncode == 0, said.stderr
    return said.stdout == "true"


CSR, SIGNERS = "certificatesigningrequests", "signers.certificates.k8s.io"


@pytest.mark.parametrize(
    ("allowed", "asked"),
    [
        (True, ("create", "secrets", "kube-system")),
        (True, ("delete", "secrets", "kube-system", "bootstrap-token-abc123")),
        (False, ("get", "secrets", "kube-system")),
        (False, ("list", "secrets", "kube-system")),
        (False, ("create", "secrets", "default")),
        (True, ("list", f"{CSR}.certificates.k8s.io")),
        (True, ("update", f"{CSR}/approval.certificates.k8s.io")),
        (False, ("update", f"{CSR}/status.certificates.k8s.io")),
        (False, ("create", f"{CSR}.certificates.k8s.io")),
        (True, ("approve", SIGNERS, "", "kubernetes.io/kubelet-serving")),
        (True, ("approve", SIGNERS, "", "kubernetes.io/kube-apiserver-client-kubelet")),
        (False, ("approve", SIGNERS, "", "kubernetes.io/kube-apiserver-client")),
        (False, ("sign", SIGNERS, "", "kubernetes.io/kubelet-serving")),
        (False, ("get", "nodes")),
        (False, ("create", "pods", "kube-system")),
        (False, ("create", "clusterrolebindings.rbac.authorization.k8s.io")),
    ],
)
def test_what_the_coordinator_may_do(plane: ControlPlane, allowed: bool, asked: tuple[str, ...]) -> None:
    assert may(plane, "kubeseed:coordinator", *asked) == allowed


def test_the_api_servers_own_user_may_ask_kubelets_and_nothing_else(plane: ControlPlane) -> None:
    assert may(plane, "kube-apiserver-kubelet-client", "create", "nodes/proxy")
    assert not may(plane, "kube-apiserver-kubelet-client", "get", "secrets", "kube-system")


def as_coordinator(plane: ControlPlane, action: str) -> str:
    done = plane.machine.call([sys.executable, "-m", "tests.judge.coordinator_calls", plane.folder, action])
    assert done.returncode == 0, done.stderr
    return done.stdout


def request_as_token(plane: ControlPlane, name: str, node: str) -> subprocess.CompletedProcess[str]:
    """A kubelet's first request: for the identity `node`, with the bootstrap token."""
    key = ec.generate_private_key(ec.SECP256R1())
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes")
    subject = x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node}")])
    pem = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    document = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": base64.b64encode(pem.public_bytes(serialization.Encoding.PEM)).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            "usages": ["digital signature", "key encipherment", "client auth"],
        },
    }
    path = plane.folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document))
    server = ["--server", "https://192.168.77.11:6443", "--certificate-authority", "/etc/kubernetes/pki/ca.crt"]
    token = ["--token", f"{TOKEN}.{SECRET}", "--cache-dir", str(plane.folder / "cache")]
    return plane.machine.call(
        plane.in_place([str(plane.programs / "kubectl"), *server, *token, "create", "-f", str(path)])
    )


def conditions(plane: ControlPlane, name: str, seconds: float) -> str:
    """What became of a request within so many seconds."""
    return asked(plane, name, "{.status.conditions[*].type}", seconds)


def asked(plane: ControlPlane, name: str, path: str, seconds: float) -> str:
    """What stands at a path of a request within so many seconds."""
    found, deadline = "", time.monotonic() + seconds
    while not found and time.monotonic() < deadline:
        found = plane.kubectl("get", "csr", name, "-o", f"jsonpath={path}").stdout
        time.sleep(0.5)
    return found


def test_a_token_asks_for_a_node_and_only_the_coordinator_approves(plane: ControlPlane) -> None:
    as_coordinator(plane, "token")
    for name in ("csr-one", "csr-two"):
        made = request_as_token(plane, name, "w1")
        assert made.returncode == 0, made.stderr
    assert conditions(plane, "csr-one", 8) == ""  # kubeadm's own approver leaves it alone
    assert f"csr-one system:bootstrap:{TOKEN}" in as_coordinator(plane, "pending")
    as_coordinator(plane, "approve")
    assert conditions(plane, "csr-one", 30) == "Approved"
    pem = asked(plane, "csr-one", "{.status.certificate}", 30)  # signed after the approval, by a controller
    certificate = x509.load_pem_x509_certificate(base64.b64decode(pem))
    days = (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days
    assert 29 <= days <= 30  # certificateValidity.leaf of the spec


def test_kubeadms_own_binding_would_let_the_token_become_a_master(plane: ControlPlane) -> None:
    """Why rbac.yaml leaves it out; and that the test above can fail."""
    plane.apply("auto.yaml", AUTO_APPROVE.encode())
    try:
        assert request_as_token(plane, "csr-evil", "m1").returncode == 0
        assert conditions(plane, "csr-evil", 60) == "Approved"
    finally:
        plane.kubectl("delete", "clusterrolebinding", "kubeadm:node-autoapprove-bootstrap")


def test_a_token_that_was_deleted_is_worth_nothing(plane: ControlPlane) -> None:
    as_coordinator(plane, "token")
    as_coordinator(plane, "forget")
    deadline = time.monotonic() + 20
    while request_as_token(plane, "csr-late", "w1").returncode == 0 and time.monotonic() < deadline:
        plane.kubectl("delete", "csr", "csr-late")
        time.sleep(1)
    refused = request_as_token(plane, "csr-late", "w1").stderr
    assert "Unauthorized" in refused or "must be logged in" in refused


def test_the_api_server_takes_flannels_manifest(plane: ControlPlane) -> None:
    plane.apply("cni.yaml", render_cni(plane.cluster)[0].data)
    assert "kube-flannel-ds" in plane.kubectl("-n", "kube-flannel", "get", "daemonsets").stdout


def test_no_flag_of_ours_is_deprecated(plane: ControlPlane) -> None:
    """kubeadm adds some of its own that are; ours are those of the components' extraArgs."""
    configuration = list(yaml.safe_load_all((plane.folder / "init.yaml").read_text()))[1]
    for component, key in (("kube-apiserver", "apiServer"), ("kube-controller-manager", "controllerManager")):
        said = [line for line in plane.log(component).splitlines() if "has been deprecated" in line]
        assert not [line for line in said for flag in configuration[key]["extraArgs"] if f"--{flag} " in line]
