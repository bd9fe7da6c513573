"""What the refresh timer mends: a kubelet that left out a part of the control plane."""

from tests.node.cluster import KUBESEED, Cluster

TWICE = ("sh", "-c", f"{KUBESEED}/refresh kubelet && {KUBESEED}/refresh kubelet")
RESTART = "try-restart kubelet"


def test_a_silent_api_server_has_its_kubelet_started_anew_but_not_at_every_look(cluster: Cluster) -> None:
    machine = cluster.machine
    assert machine.boot()[0] == 0
    machine.write("etc/kubernetes/manifests/kube-apiserver.yaml", "refused\n")
    status, output = machine.boot(*TWICE)
    assert (status, machine.calls("systemctl").count(RESTART)) == (0, 1)
    assert output == "the API server of this master is silent: the kubelet is started anew\n"


def test_an_api_server_that_answers_is_left_alone(cluster: Cluster) -> None:
    machine = cluster.machine
    assert machine.boot()[0] == 0
    assert machine.boot(*TWICE) == (0, "")
    assert RESTART not in machine.calls("systemctl")


def test_what_a_restore_holds_back_is_not_missed(cluster: Cluster) -> None:
    machine = cluster.machine
    assert machine.boot()[0] == 0
    machine.path("etc/kubernetes/manifests/kube-apiserver.yaml").unlink()
    assert machine.boot(*TWICE) == (0, "")
    assert RESTART not in machine.calls("systemctl")
