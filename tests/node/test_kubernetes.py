"""Making and joining a cluster: every stage from the engine to the addons, and every way to be interrupted."""

import json
import stat
import time
from collections.abc import Callable

import pytest

from tests.node.cluster import (
    DISCOVERY,
    FILES,
    KINDS,
    KUBECONFIGS,
    NGINX,
    OTHER_MASTER,
    STAGES,
    Cluster,
    Epoch,
    belongs,
    client_of,
    fits,
    joining,
    seed,
    states,
)
from tests.node.coordinator import Answer, Asked, archive, in_turn, refusal
from tests.node.machine import Machine, words

KUBESEED = "/usr/local/lib/kubeseed"
STAGE = f"{KUBESEED}/stage"


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


@pytest.mark.parametrize("shell", ["dash", "busybox", "bash"])
def test_the_first_master_makes_the_cluster(cluster: Cluster, shell: str) -> None:
    machine = cluster.machine
    machine.shell = shell
    status, output = machine.boot()
    assert status == 0, output
    assert kubeadm(machine) == ["init"]
    assert machine.calls("kubeadm")[0] == (
        "init --config /etc/kubeseed/kubeadm/init.yaml --skip-phases=bootstrap-token --skip-token-print"
        " --experimental-patches=/etc/kubeseed/kubeadm/patches"
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
    other = Answer(200, cluster.epoch.kubernetes.pem().encode())
    cluster.rules["/v1/certificates/apiserver"] = in_turn(other, Answer(200, b"no certificate"), right)
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
    assert not cluster.machine.path("etc/kubernetes").exists()


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


def remember(look: Callable[[], None]) -> Callable[[Asked], Answer]:
    def answer(_: Asked) -> Answer:
        look()
        return Answer()

    return answer


def test_nothing_is_reset_once_init_is_complete(cluster: Cluster) -> None:
    machine = cluster.machine
    assert machine.boot()[0] == 0
    machine.path("var/lib/kubeseed/done").unlink()
    machine.path("var/lib/kubeseed/init-complete").unlink()
    machine.write("etc/kubernetes/manifests/kube-apiserver.yaml", "half\n")
    status, output = machine.boot("timeout", "60", f"{KUBESEED}/run", seconds=90)
    assert status == 124
    assert "init is complete, but the API server of this node does not answer" in output
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


def test_a_worker_joins_with_a_token_that_is_gone_afterwards(cluster: Cluster) -> None:
    joining(cluster, "w1", "worker")
    machine = cluster.machine
    cluster.rules["/v1/join"] = in_turn(refusal(202, "not yet", Retry_After="3"), cluster.rules["/v1/join"])
    status, output = machine.boot()
    assert status == 0, output
    assert machine.calls("kubeadm") == ["join --config /etc/kubeseed/kubeadm/join.yaml"]
    assert not machine.path("etc/kubernetes/discovery.conf").exists()
    assert not machine.path("etc/kubernetes/pki/ca.key").exists()
    asked = [one.route for one in cluster.asked]
    assert asked.count("/v1/join?wait=25") == 2
    assert output.count("waiting: not yet") == 1
    assert "/v1/pki" not in asked
    assert "/v1/init/claim" not in asked
    assert states(cluster)["init"] == "skipped"
    assert states(cluster)["join"] == "done"
    token = DISCOVERY.partition("token: ")[2][:23]
    assert not [
        path for path in machine.root.rglob("*") if path.is_file() and token in path.read_text(errors="replace")
    ]


def test_a_node_that_has_joined_is_never_reset(cluster: Cluster) -> None:
    joining(cluster, "w1", "worker")
    machine = cluster.machine
    whole = machine.read("usr/local/sbin/kubectl")
    blind = "echo x >>/var/stand-in/asked; [ $(wc -l </var/stand-in/asked) -gt 200 ] || exit 1"
    machine.write("usr/local/sbin/kubectl", whole.replace("\nshift 2\n", f"\n{blind}\nshift 2\n"), 0o755)
    status, output = machine.boot()
    assert status == 0, output
    assert "the cluster does not know this node, although it has joined" in output
    assert kubeadm(machine) == ["join"]


def test_kubeadm_is_not_started_before_the_api_answers_with_the_right_authority(cluster: Cluster) -> None:
    """F26: kubeadm's own discovery gives up after five minutes."""
    joining(cluster, "w1", "worker", ENDPOINT="127.0.0.2:8443")
    machine = cluster.machine
    impostor = Cluster(machine.root, machine, {})
    impostor.serve_as(lambda _: Answer(200, b"ok"), machine.listen(8443, OTHER_MASTER), impostor.epoch.kubernetes)
    status, output = machine.boot("timeout", "12", "/usr/local/lib/kubeseed/run")
    impostor.close()
    assert status == 124
    assert "no API server of this cluster answers at 127.0.0.2:8443" in output
    assert kubeadm(machine) == []


def test_an_interrupted_worker_is_reset_and_joins_again(cluster: Cluster) -> None:
    joining(cluster, "w1", "worker")
    cut_in(cluster, "join")
    status, output = cluster.machine.boot()
    assert status == 0, output
    assert kubeadm(cluster.machine) == ["join", "reset", "join"]
    assert belongs(cluster.machine, "var/lib/kubelet/pki/kubelet")


def member(identifier: str, name: str, address: str) -> dict[str, object]:
    named = {"name": name} if name else {}
    return {"ID": identifier, **named, "peerURLs": [f"https://{address}:2380"]}


def test_a_master_forgets_its_member_that_never_started(cluster: Cluster) -> None:
    """F9: a member that was announced but never started refuses its own second announcement."""
    joining(cluster, "m2", "master")
    cut_in(cluster, "join")
    own, others = member("22", "", "127.0.0.1"), (member("11", "m1", OTHER_MASTER), member("33", "m3", "127.0.0.11"))
    cluster.members = [*others, own]
    status, output = cluster.machine.boot()
    assert status == 0, output
    assert cluster.removed == ["22"]
    assert kubeadm(cluster.machine) == ["join", "reset", "join"]


def test_a_member_that_counts_is_started_before_anybody_is_asked(cluster: Cluster) -> None:
    """The second member has a vote once it is announced: without it no API server could answer the coordinator."""
    joining(cluster, "m2", "master")
    machine = cluster.machine
    machine.write("etc/kubernetes/manifests/etcd.yaml", "kind: Pod\n")
    join, started = cluster.rules["/v1/join"], list[bool]()

    def answer(asked: Asked) -> Answer:
        started.append("start kubelet" in machine.calls("systemctl"))
        return join(asked)

    cluster.rules["/v1/join"] = answer
    status, output = machine.boot()
    assert status == 0, output
    assert started == [True]


def test_a_kubelet_that_refused_a_pod_is_started_anew(cluster: Cluster) -> None:
    """A starved kubelet looks at a static pod that it has refused only when it starts again."""
    joining(cluster, "m2", "master")
    cut_in(cluster, "join")
    cluster.members = [member("11", "m1", OTHER_MASTER), member("22", "m2", "127.0.0.1")]
    machine = cluster.machine
    machine.write("etc/kubernetes/manifests/etcd.yaml", "kind: Pod\n")
    cluster.refused_pods = True
    status, output = machine.boot()
    assert status == 0, output
    assert kubeadm(machine) == ["join", "join-phase", "join-phase"]
    assert machine.calls("systemctl").count("restart kubelet") == 1


@pytest.mark.parametrize(("early", "calls"), [(False, ["join", "join-phase", "join-phase"]), (True, ["join", "join"])])
def test_a_master_whose_member_has_started_goes_on_with_its_data(
    cluster: Cluster, early: bool, calls: list[str]
) -> None:
    """Newer kubeadm starts the member before the kubelet has its own identity."""
    joining(cluster, "m2", "master")
    if early:
        cluster.machine.write("var/stand-in/early", "")
    cut_in(cluster, "join")
    cluster.members = [member("11", "m1", OTHER_MASTER), member("22", "m2", "127.0.0.1")]
    status, output = cluster.machine.boot()
    assert status == 0, output
    assert cluster.removed == []
    assert kubeadm(cluster.machine) == calls
    assert cluster.machine.path("var/lib/etcd/member").exists()


def test_a_master_whose_data_is_gone_asks_for_the_operator(cluster: Cluster) -> None:
    joining(cluster, "m2", "master")
    cluster.members = [member("11", "m1", OTHER_MASTER), member("22", "m2", "127.0.0.1")]
    status, output = cluster.machine.boot()
    assert status == 20
    assert "etcdctl member remove 16" in words(output)
    assert kubeadm(cluster.machine) == []


def test_a_certificate_in_place_of_a_token(cluster: Cluster) -> None:
    joining(cluster, "w1", "worker", JOIN_MODE="certificate", CERTIFICATES="kubelet-serving kubelet-client")
    present: list[bool] = []
    machine = cluster.machine
    cluster.rules["/v1/reports"] = remember(
        lambda: present.append(machine.path("etc/kubeseed/kubelet-client.key").exists())
    )
    status, output = machine.boot()
    assert status == 0, output
    assert True in present
    assert not list(machine.path("etc/kubeseed").glob("kubelet-client.*"))


def test_labels_are_set_once_for_each_node_that_is_there(cluster: Cluster) -> None:
    machine = cluster.machine
    assert machine.boot()[0] == 0
    labelled = [call.partition(" label ")[2] for call in machine.calls("kubectl") if " label " in call]
    assert labelled == [
        "--overwrite node m1 node-role.kubernetes.io/master=",
        "--overwrite node w1 node-role.kubernetes.io/worker= zone=a",
    ]
    assert machine.boot("/usr/local/lib/kubeseed/refresh", "labels")[0] == 0
    assert len([call for call in machine.calls("kubectl") if " label " in call]) == 2
    assert "enable kubeseed-refresh.timer" in machine.calls("systemctl")


def balancer(cluster: Cluster) -> None:
    joining(cluster, "w1", "worker", LB_ENGINE="nginx")
    cluster.serve_as(lambda _: Answer(200, b"ok"), cluster.machine.listen(8081), None)
    cluster.machine.path("var/lib/kubeseed/sentinel").mkdir(parents=True)
    cluster.machine.write("var/lib/kubeseed/sentinel/preflight", "1 0 x\n")


def test_the_balancer_is_tested_and_its_backends_are_refreshed(cluster: Cluster) -> None:
    balancer(cluster)
    machine = cluster.machine
    status, output = machine.boot()
    assert status == 0, output
    assert machine.read("etc/kubeseed/lb/nginx.conf") == NGINX
    assert "-t -q -c /etc/kubeseed/lb/nginx.conf" in machine.calls("nginx")
    assert {"enable kubeseed-lb.service", "enable kubeseed-refresh.timer"} <= set(machine.calls("systemctl"))
    assert machine.boot("/usr/local/lib/kubeseed/refresh", "backends")[0] == 0
    servers = f"    server 127.0.0.1:6443;\n    server {OTHER_MASTER}:6443;\n"
    assert machine.read("etc/kubeseed/lb/nginx.conf") == NGINX.replace("    server 192.0.2.1:6443;\n", servers)
    assert "-t -q -c /etc/kubeseed/lb/nginx.conf.try" in machine.calls("nginx")
    assert "reload kubeseed-lb" in machine.calls("systemctl")
    assert cluster.reports()[-1] == "load-balancer done"
    assert not list(machine.path("etc/kubeseed/lb").glob("*.try"))


@pytest.mark.parametrize("evil", ["192.0.2.1:6443; include /etc/shadow", "server:port", "", "192.0.2.1"])
def test_backends_are_addresses_and_nothing_else(cluster: Cluster, evil: str) -> None:
    balancer(cluster)
    cluster.rules["/v1/backends"] = lambda _: Answer(200, evil.encode())
    machine = cluster.machine
    assert machine.boot()[0] == 0
    status, output = machine.boot("/usr/local/lib/kubeseed/refresh", "backends")
    assert status == 1
    assert "these are no backends" in output
    assert machine.read("etc/kubeseed/lb/nginx.conf") == NGINX


def test_a_configuration_that_the_balancer_refuses_is_not_used(cluster: Cluster) -> None:
    balancer(cluster)
    machine = cluster.machine
    assert machine.boot()[0] == 0
    machine.write("usr/local/sbin/nginx", "#!/bin/sh\necho nginx: no; exit 1\n", 0o755)
    status, output = machine.boot("/usr/local/lib/kubeseed/refresh", "backends")
    assert status == 1, output
    assert machine.read("etc/kubeseed/lb/nginx.conf") == NGINX
    assert not machine.path("var/lib/kubeseed/backends.etag").exists()


def test_images_at_hand_are_imported_once(cluster: Cluster) -> None:
    machine = cluster.machine
    machine.write("images/pause.tar", "x")
    seed(cluster, ENGINE_IMAGES="/images")
    assert machine.boot()[0] == 0
    assert machine.boot(f"{STAGE}/engine", "apply")[0] == 0
    assert machine.calls("ctr").count("-n k8s.io images import /images/pause.tar") == 1


def test_kubernetes_is_installed_pinned_and_held_where_the_image_has_none(cluster: Cluster) -> None:
    machine = cluster.machine
    programs = machine.path("usr/local/share")
    programs.mkdir(parents=True)
    for name in ("kubeadm", "kubelet", "kubectl"):
        machine.path(f"usr/local/sbin/{name}").rename(programs / name)
    machine.install_stand_ins("packages")
    sources = {
        "packages.apt": "deb https://x /\n",
        "keys/kubernetes.asc": "KEY\n",
        "packages.names": "base jq no-such git\n",
    }
    cluster.files = archive({**FILES, **sources})
    status, output = machine.boot()
    installs = [call.partition(" install ")[2] for call in machine.calls("apt-get") if " install " in call]
    assert status == 0, output
    assert installs == ["jq no-such git", "jq", "no-such", "git", "kubelet=1.20.2-* kubeadm=1.20.2-* kubectl=1.20.2-*"]
    assert machine.calls("apt-mark") == ["hold kubelet kubeadm kubectl"]
    assert machine.read("etc/apt/keyrings/kubeseed-kubernetes.asc") == "KEY\n"
    assert machine.read("etc/apt/sources.list.d/kubeseed.list") == "deb https://x /\n"
    assert machine.calls("dpkg")[0] == "--configure -a"
    assert "no package no-such to be had" in machine.read("var/lib/kubeseed/log/packages.log")


def test_the_drop_in_of_the_kubelet_is_written_where_the_package_has_none(cluster: Cluster) -> None:
    machine = cluster.machine
    machine.path("etc/systemd/system/kubelet.service").unlink()
    assert machine.boot()[0] == 0
    drop_in = machine.read("etc/systemd/system/kubelet.service.d/10-kubeadm.conf")
    assert "ExecStart=/usr/local/sbin/kubelet $KUBECONFIGS --config=/var/lib/kubelet/config.yaml" in drop_in
    assert machine.read("etc/systemd/system/kubelet.service").startswith("[Unit]")
