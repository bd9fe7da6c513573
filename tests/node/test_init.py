"""Making a cluster: certificates, keys, init, and every way to be interrupted."""

import json
import stat

import pytest

from tests.node.cluster import (
    KINDS,
    KUBECONFIGS,
    STAGE,
    STAGES,
    Cluster,
    Epoch,
    belongs,
    client_of,
    cut_in,
    fits,
    is_elliptic,
    kubeadm,
    remember,
    seed,
    states,
)
from tests.node.coordinator import Answer, Asked, archive, in_turn, refusal
from tests.node.machine import words


@pytest.mark.parametrize("shell", ["dash", "busybox", "bash"])
def test_the_first_master_makes_the_cluster(cluster: Cluster, shell: str) -> None:
    machine = cluster.machine
    machine.shell = shell
    status, output = machine.boot()
    assert status == 0, output
    assert kubeadm(machine) == ["init"]
    assert machine.calls("kubeadm")[0] == (
        "init --config /etc/kubeseed/kubeadm/init.yaml --skip-phases=bootstrap-token"
        " --skip-token-print --experimental-patches=/etc/kubeseed/kubeadm/patches"
    )
    assert json.loads(machine.read("etc/kubeseed/kubeadm/patches/etcd+strategic.json"))
    skipped = {"load-balancer", "etcd", "join"}
    assert states(cluster) == {stage: "skipped" if stage in skipped else "done" for stage in STAGES.split()}
    assert cluster.state == "complete"
    completed = next(asked.form for asked in cluster.asked if asked.route == "/v1/init/complete")
    assert completed["etcd_cluster"] == [f"{14841639068965178418:x}"]
    applied = machine.read("var/stand-in/applied").split()
    assert applied == ["/etc/kubeseed/files/rbac.yaml", "/etc/kubeseed/files/cni.yaml"]
    assert machine.read("etc/containerd/certs.d/registry:5000/hosts.toml") == 'server = "x"\n'
    assert machine.read("etc/kubernetes/audit-policy.yaml") == "kind: Policy\n"


def test_every_certificate_is_where_kubeadm_looks_for_it(cluster: Cluster) -> None:
    machine = cluster.machine
    seed(cluster, CERTIFICATES=" ".join([*KINDS, *KUBECONFIGS, "kubelet-serving"]))
    assert machine.boot()[0] == 0
    assert all(belongs(machine, f"etc/kubernetes/{pair}") for pair in KINDS.values())
    assert belongs(machine, "var/lib/kubelet/pki/kubelet")
    # What only Kubernetes itself reads is elliptic; any curl and any client can read the rest.
    elliptic = {kind for kind, pair in KINDS.items() if is_elliptic(machine, pair)}
    assert elliptic == {"apiserver-kubelet-client", "apiserver-etcd-client", "front-proxy-client"} & KINDS.keys()
    assert elliptic
    for name in KUBECONFIGS:
        certificate, key = client_of(machine, name)
        assert fits(certificate, key)
        certificate.verify_directly_issued_by(cluster.epoch.kubernetes.certificate)
    private = [*machine.path("etc/kubernetes").rglob("*.key"), *machine.path("etc/kubernetes").glob("*.conf")]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in private if path.name != "kubelet.conf"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(machine.path("etc/kubernetes/encryption.yaml").stat().st_mode) == 0o600
    assert not list(machine.path("run").rglob("request.*"))


def test_a_certificate_for_another_key_is_not_taken(cluster: Cluster) -> None:
    right = cluster.rules["/v1/certificates/apiserver"]
    # Each is asked for twice: with all others, and alone when that was of no use.
    other, none = Answer(200, cluster.epoch.kubernetes.pem().encode()), Answer(200, b"no certificate")
    cluster.rules["/v1/certificates/apiserver"] = in_turn(other, other, none, none, right)
    status, output = cluster.machine.boot()
    assert status == 0, output
    assert output.count("certificate apiserver does not fit its authority or this node's key") == 2


def test_keys_are_born_once(cluster: Cluster) -> None:
    bodies: list[bytes] = []
    right = cluster.rules["/v1/certificates/apiserver"]

    def lose(asked: Asked) -> Answer:
        bodies.append(asked.body)
        return Answer(0) if len(bodies) == 1 else right(asked)

    cluster.rules["/v1/certificates/apiserver"] = lose
    assert cluster.machine.boot()[0] == 0
    assert len(bodies) == 2
    assert len(set(bodies)) == 1


@pytest.mark.parametrize(
    "evil", ["pki/../../cron.d/evil", "kubelet.conf", "pki/apiserver.key", "pki/etcd/ca.key.bak", "manifests/evil.yaml"]
)
def test_the_delivery_of_keys_holds_nothing_else(cluster: Cluster, evil: str) -> None:
    cluster.rules["/v1/pki"] = lambda _: Answer(200, archive({**cluster.epoch.keys(), evil: "x"}))
    status, output = cluster.machine.boot()
    assert status == 20
    assert "members that have no place here" in words(output)
    # Keys of the node's own may have been born by then.
    there = [path for path in cluster.machine.path("etc/kubernetes").rglob("*") if path.is_file()]
    assert all(path.suffix == ".key" and path.name not in {"ca.key", "sa.key"} for path in there)
    assert all(path.read_text().startswith("-----BEGIN PRIVATE KEY") for path in there)


def test_the_wrong_first_master_stops(cluster: Cluster) -> None:
    cluster.rules["/v1/init/claim"] = lambda _: refusal(409, "another node holds the init")
    status, output = cluster.machine.boot()
    assert status == 20
    assert "Conflict at /v1/init/claim: 409 another node holds the init" in words(output)
    assert kubeadm(cluster.machine) == []


def test_an_interrupted_init_is_reset_and_made_again_with_the_same_keys(cluster: Cluster) -> None:
    cut_in(cluster, "init")
    machine = cluster.machine
    before = machine.read("etc/kubernetes/pki/apiserver.key")
    status, output = machine.boot()
    assert status == 0, output
    assert kubeadm(machine) == ["init", "reset", "init"]
    assert "--cert-dir /run/kubeseed/no-authority" in machine.calls("kubeadm")[1]
    assert machine.read("etc/kubernetes/pki/apiserver.key") == before
    assert fits(*client_of(machine, "admin"))


def test_an_interrupted_init_whose_api_server_came_up_is_gone_on_with(cluster: Cluster) -> None:
    cut_in(cluster, "late-init")
    machine = cluster.machine
    status, output = machine.boot()
    assert status == 0, output
    assert kubeadm(machine) == ["init", "init"]
    assert "--skip-phases=preflight,bootstrap-token" in machine.calls("kubeadm")[1]


def test_what_kubeadm_cannot_go_on_from_is_reset(cluster: Cluster) -> None:
    """A power cut can leave empty files behind, which kubeadm refuses however healthy the API server is."""
    cut_in(cluster, "late-init")
    machine = cluster.machine
    machine.write("var/stand-in/broken", "")
    status, output = machine.boot()
    assert status == 0, output
    assert kubeadm(machine) == ["init", "init", "reset", "init"]


def test_nothing_is_reset_while_the_coordinator_is_away(cluster: Cluster) -> None:
    cut_in(cluster, "init")
    claim = cluster.rules["/v1/init/claim"]
    cluster.rules["/v1/init/claim"] = in_turn(*[refusal(503, "busy")] * 3, claim)
    machine = cluster.machine
    seen: list[list[str]] = []
    cluster.rules["/v1/reports"] = remember(lambda: seen.append(kubeadm(machine)))
    status, output = machine.boot()
    assert status == 0, output
    assert output.count("init ... failed") == 3
    assert ["init"] in seen
    assert kubeadm(machine) == ["init", "reset", "init"]


def test_nothing_is_reset_once_init_is_complete(cluster: Cluster) -> None:
    machine = cluster.machine
    assert machine.boot()[0] == 0
    machine.path("var/lib/kubeseed/done").unlink()
    machine.path("var/lib/kubeseed/init-complete").unlink()
    machine.write("etc/kubernetes/manifests/kube-apiserver.yaml", "half\n")
    machine.boot_until("init is complete, but the API server of this node does not answer")
    machine.write("etc/kubernetes/manifests/kube-apiserver.yaml", "whole\n")
    status, output = machine.boot()
    assert status == 0, output
    assert kubeadm(machine) == ["init"]


def test_a_lost_answer_to_completion_does_not_make_a_second_cluster(cluster: Cluster) -> None:
    complete = cluster.rules["/v1/init/complete"]

    def lose(asked: Asked) -> Answer:
        complete(asked)
        return Answer(0)

    cluster.rules["/v1/init/complete"] = in_turn(lose, complete)
    status, output = cluster.machine.boot()
    assert status == 0, output
    assert kubeadm(cluster.machine) == ["init"]


def test_a_new_epoch_replaces_keys_and_certificates(cluster: Cluster) -> None:
    """F5: what was begun under another epoch is worthless; nobody ever joins it."""
    cut_in(cluster, "init")
    cluster.epoch = Epoch(2)
    cluster.restart()
    machine = cluster.machine
    status, output = machine.boot()
    assert status == 0, output
    assert machine.read("etc/kubernetes/pki/ca.crt") == cluster.epoch.kubernetes.pem()
    certificate, _ = client_of(machine, "admin")
    certificate.verify_directly_issued_by(cluster.epoch.kubernetes.certificate)
    assert machine.read("var/lib/kubeseed/epoch") == "2"


def test_the_kubelet_reads_the_certificate_that_it_renews_from_its_next_start_on(cluster: Cluster) -> None:
    machine = cluster.machine
    assert machine.boot()[0] == 0
    machine.write("var/lib/kubelet/pki/kubelet-client-current.pem", "pem")
    user = "- name: default-auth\n  user:\n    client-certificate-data: Y2VydA==\n    client-key-data: a2V5\n"
    machine.write("etc/kubernetes/kubelet.conf", user, 0o600)
    status, output = machine.boot(f"{STAGE}/init", "apply")
    assert status == 0, output
    current = "/var/lib/kubelet/pki/kubelet-client-current.pem"
    assert f"    client-certificate: {current}\n    client-key: {current}\n" in machine.read(
        "etc/kubernetes/kubelet.conf"
    )
    assert stat.S_IMODE(machine.path("etc/kubernetes/kubelet.conf").stat().st_mode) == 0o600


def test_a_single_master_starts_its_kubelet_once(cluster: Cluster) -> None:
    machine = cluster.machine
    cluster.rules["/v1/backends"] = lambda _: Answer(200, b"127.0.0.1:6443\n", {"ETag": '"1"'})
    status, output = machine.boot()
    assert status == 0, output
    assert "--skip-phases=bootstrap-token,kubelet-finalize" in machine.calls("kubeadm")[0]
