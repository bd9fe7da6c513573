"""What the refresh timer mends: a kubelet that left out a part of the control plane."""

from tests.node.cluster import KUBESEED, Cluster

LOOK = f"{KUBESEED}/refresh kubelet"
TWICE = ("sh", "-c", f"{LOOK} && {LOOK}")
# The last time that it was seen is as old as the machine.
LONG_AGO = ("sh", "-c", f"{LOOK} && echo 0 >/run/kubeseed/api-seen && {LOOK} && {LOOK}")
RESTART = "try-restart kubelet"


def test_a_silent_api_server_has_its_kubelet_started_anew_but_not_at_every_look(cluster: Cluster) -> None:
    machine = cluster.machine
    assert machine.boot()[0] == 0
    machine.write("etc/kubernetes/manifests/kube-apiserver.yaml", "refused\n")
    assert machine.boot(*TWICE) == (0, "")
    status, output = machine.boot(*LONG_AGO)
    assert (status, machine.calls("systemctl").count(RESTART)) == (0, 1)
    assert output == "the API server of this master is silent: the kubelet is started anew\n"


def test_an_api_server_that_answers_is_left_alone(cluster: Cluster) -> None:
    machine = cluster.machine
    assert machine.boot()[0] == 0
    assert machine.boot(*LONG_AGO) == (0, "")
    assert RESTART not in machine.calls("systemctl")


def test_what_a_restore_holds_back_is_not_missed(cluster: Cluster) -> None:
    machine = cluster.machine
    assert machine.boot()[0] == 0
    machine.path("etc/kubernetes/manifests/kube-apiserver.yaml").unlink()
    assert machine.boot(*LONG_AGO) == (0, "")
    assert RESTART not in machine.calls("systemctl")
