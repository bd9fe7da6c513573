"""Joining a cluster: tokens, certificates in their place, members of etcd, and every way to be interrupted."""

import re

import pytest

from tests.node.cluster import DISCOVERY, OTHER_MASTER, Cluster, belongs, cut_in, joining, kubeadm, remember, states
from tests.node.coordinator import Answer, Asked, in_turn, refusal
from tests.node.machine import words


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


def test_a_new_machine_waits_until_the_former_one_of_its_name_has_departed(cluster: Cluster) -> None:
    joining(cluster, "w1", "worker")
    cluster.machine.write("var/stand-in/former", "x\n" * 3)
    status, output = cluster.machine.boot()
    assert status == 0, output
    assert kubeadm(cluster.machine) == ["join", "reset", "join"]
    assert re.search(
        'failed \\(attempt 1\\), again in . s: a Node with that name and status "Ready" already exists', output
    )
    assert output.count("waiting: the cluster still takes the former w1 for Ready") == 1


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
