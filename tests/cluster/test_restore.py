"""Scenario R: all masters lose their disks; the cluster comes back from its backup by switching blank machines on."""

import json
import time
from functools import partial

import pytest

from tests.cluster.place import Cluster
from tests.cluster.proof import note
from tests.cluster.spec import Shape
from tests.lab.wait import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(5400)]

SHAPE = Shape("r", masters=3, workers=1, topology="external")
OBJECTS = 100
PROGRAM = "/usr/local/lib/kubeseed/backup/backup"


@pytest.fixture(scope="module")
def saved(made: Cluster) -> tuple[Cluster, str]:
    """The cluster with a backup of OBJECTS objects, and one object that came later; the backup's id."""
    made.power_on(made.shape.names)
    made.until_ready(made.shape.names)
    made.until_done(made.shape.names)
    create(made, range(OBJECTS))
    made.site.command("backup", "now", made.site.out)
    for name in made.shape.master_names:
        made.inside(name, PROGRAM, "due", timeout=120)
    create(made, ["later"])
    listed = json.loads(made.site.command("backup", "list", made.site.out, "--json"))
    assert len(listed) == 1
    return made, listed[0]["id"]


def create(cluster: Cluster, names: object) -> None:
    assert isinstance(names, list | range)
    script = "".join(f"kubectl create configmap object-{name} --from-literal=word=kept\n" for name in names)
    cluster.inside("m1", "sh", "-ec", f"export KUBECONFIG=/etc/kubernetes/admin.conf\n{script}", timeout=600)


def objects(cluster: Cluster) -> set[str]:
    found = cluster.kubectl("m1", "get", "configmaps", "-o", "name").split()
    return {name.removeprefix("configmap/") for name in found if name.startswith("configmap/object-")}


def test_a_backup_is_where_no_node_can_lose_it(saved: tuple[Cluster, str]) -> None:
    cluster, name = saved
    assert f"{name} is whole" in cluster.site.command("backup", "verify", cluster.site.out, name)
    copies = [
        path
        for master in cluster.shape.master_names
        for path in (cluster.root(master) / "var/backups/etcd").glob("*Z-*")
    ]
    assert [path.name for path in copies] == [name], "one member took it"
    modes = {oct(path.stat().st_mode & 0o7777) for path in copies[0].rglob("*")}
    assert modes == {"0o600"}


def test_blank_machines_bring_the_cluster_back(saved: tuple[Cluster, str]) -> None:
    cluster, name = saved
    masters = cluster.shape.master_names
    authority = (cluster.root("m1") / "etc/kubernetes/pki/ca.crt").read_bytes()
    for master in masters:
        cluster.site.cut_power(master)
        cluster.site.command("node", "rearm", cluster.site.out, master)
    began = time.monotonic()
    cluster.site.command("restore", cluster.site.out, "--from", name, "--reinstalled")
    cluster.powered.clear()
    cluster.ready.clear()
    cluster.site.power_on(masters, cluster.image, "--driver", cluster.shape.driver, "--fresh")
    for master in masters:
        cluster.powered[master] = cluster.site.power_on_time(master)
    cluster.powered["w1"] = cluster.powered["m1"]
    # Neither the reports nor the node objects of before say anything about the machines of now.
    for master in masters:
        until(f"{master} has enrolled and is done", partial(closed, cluster, master), 900, interval=1)
    cluster.until_ready(cluster.shape.names)
    note(
        "R",
        f"3 masters with blank disks, external etcd: all nodes Ready {time.monotonic() - began:.0f} s after the order",
    )
    assert objects(cluster) == {f"object-{number}" for number in range(OBJECTS)}
    assert (cluster.root("m1") / "etc/kubernetes/pki/ca.crt").read_bytes() == authority


def closed(cluster: Cluster, name: str) -> bool:
    return bool(cluster.site.node(name)["state"] == "closed")


def test_the_worker_works_on(saved: tuple[Cluster, str]) -> None:
    cluster, _ = saved
    create(cluster, ["after"])
    assert "object-after" in objects(cluster)
    until("the worker's kubelet speaks to the restored API", lambda: lease_moves(cluster), 180)


def lease_moves(cluster: Cluster) -> bool:
    """Whether the worker's heartbeat is younger than a minute."""
    lease = json.loads(cluster.kubectl("m1", "-n", "kube-node-lease", "get", "lease", "w1", "-o", "json"))
    now = json.loads(cluster.kubectl("m1", "-n", "kube-node-lease", "get", "lease", "m1", "-o", "json"))
    seconds = [time.mktime(time.strptime(one["spec"]["renewTime"][:19], "%Y-%m-%dT%H:%M:%S")) for one in (lease, now)]
    return abs(seconds[0] - seconds[1]) < 60


def test_every_member_says_that_it_is_done(saved: tuple[Cluster, str]) -> None:
    cluster, _ = saved
    for master in cluster.shape.master_names:
        cluster.inside(master, PROGRAM, "due", timeout=600)
    assert sorted(cluster.site.look()["restore"]["done"]) == list(cluster.shape.master_names)
