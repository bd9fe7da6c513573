"""Packages, images and labels of Kubernetes on a node."""

from tests.node.cluster import FILES, STAGE, Cluster, seed
from tests.node.coordinator import archive


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
    assert "--no-reload enable kubeseed-refresh.timer" in machine.calls("systemctl")


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
