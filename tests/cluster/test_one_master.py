"""Scenario A: one master with stacked etcd becomes Ready, is as the spec says, renews its certificates, reboots."""

import time
from pathlib import Path

import pytest
from cryptography import x509

from tests.cluster.checks import check_certificates, check_everything
from tests.cluster.place import Cluster
from tests.cluster.proof import note
from tests.cluster.spec import Shape
from tests.lab.wait import until

pytestmark = [pytest.mark.cluster_core, pytest.mark.timeout(1800)]

SHAPE = Shape("a")


@pytest.fixture(scope="module")
def alone(made: Cluster) -> Cluster:
    made.power_on(["m1"])
    made.until_ready(["m1"])
    made.until_done(["m1"])
    return made


def test_it_is_ready(alone: Cluster) -> None:
    assert alone.ready_nodes() == ("m1",)


def test_its_control_plane_is_healthy(alone: Cluster) -> None:
    parts = {f"{part}-m1" for part in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")}
    # The kubelet tells of the pods of its manifests with the next look at each, which may be a minute away.
    until("all of it is among the pods", lambda: parts <= pods(alone), 150)
    alone.until_healthy(["m1"])


def pods(cluster: Cluster) -> set[str]:
    told = cluster.kubectl("m1", "get", "pods", "-n", "kube-system", "-o", "jsonpath={.items[*].metadata.name}")
    return set(told.split())


def test_secrets_in_etcd_are_encrypted(alone: Cluster) -> None:
    alone.kubectl("m1", "create", "secret", "generic", "canary", "--from-literal=key=etcd-canary-text")
    stored = alone.etcd("m1", "get", "/registry/secrets/default/canary", "--hex=false")
    assert "etcd-canary-text" not in str(stored)


def test_certificates_keys_tokens_and_silence(alone: Cluster, tmp_path: Path) -> None:
    check_everything(alone, "m1", tmp_path)


def test_every_certificate_is_renewed_while_it_runs(alone: Cluster) -> None:
    """The node's own program, for which everything it finds is old and nobody has to be spared."""
    program = alone.root("m1") / "usr/local/lib/kubeseed/renew"
    eager = program.read_text().replace(
        "due() {\n", "due() {\n  case $1 in */in-use) return 0 ;; *) return 1 ;; esac\n", 1
    )
    at_once = program.with_name("renew-at-once")
    at_once.write_text(eager.replace(" sleep $((", " : $((", 1))
    at_once.chmod(0o755)
    before, began = serials(alone.root("m1")), time.monotonic()
    told = alone.inside("m1", "/usr/local/lib/kubeseed/renew-at-once", timeout=600)
    took = time.monotonic() - began
    assert told.count(": renewed until") == 11, told
    after = serials(alone.root("m1"))
    assert after.keys() == before.keys()
    assert {path for path, serial in after.items() if serial == before[path]} == {
        path for path in after if path.endswith("ca.crt")
    }
    for port, path in SERVED.items():
        until(f"port {port} serves {path}", lambda: served(alone, port) == after[path], 420)  # noqa: B023 - called at once
    note(
        "A",
        f"11 certificates renewed in {took:.0f} s; the new ones are served after {time.monotonic() - began:.0f} s",
    )
    alone.until_healthy(["m1"])
    assert alone.ready_nodes() == ("m1",)
    assert alone.site.look()["nodes"]["m1"]["stages"]["pki"]["state"] == "done"
    check_certificates(alone)


# What listens where, with which certificate.
SERVED = {
    6443: "etc/kubernetes/pki/apiserver.crt",
    2379: "etc/kubernetes/pki/etcd/server.crt",
    10250: "var/lib/kubelet/pki/kubelet.crt",
}


def served(cluster: Cluster, port: int) -> int:
    asks = f"openssl s_client -connect 127.0.0.1:{port} </dev/null 2>/dev/null | openssl x509 -noout -serial"
    told = cluster.inside("m1", "sh", "-c", asks).strip()
    return int(told.partition("=")[2] or "0", 16)


def serials(root: Path) -> dict[str, int]:
    """The serial numbers of all certificates of the control plane, by path, and of those in kubeconfigs."""
    files = [*(root / "etc/kubernetes/pki").rglob("*.crt"), root / "var/lib/kubelet/pki/kubelet.crt"]
    files += [root / "etc/kubeseed/pki" / f"{name}.crt" for name in ("admin", "controller-manager", "scheduler")]
    found = {str(path.relative_to(root)): path.read_bytes() for path in files}
    return {path: x509.load_pem_x509_certificate(pem).serial_number for path, pem in found.items()}


def test_a_reboot_changes_nothing(alone: Cluster) -> None:
    alone.site.shut_down("m1")
    began = time.monotonic()
    alone.power_on(["m1"])
    alone.until_healthy(["m1"], 300)
    alone.until_ready(["m1"])
    note("A", f"after a reboot its API server is healthy and the node Ready in {time.monotonic() - began:.0f} s")
