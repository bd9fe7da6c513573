"""Scenario R: all masters lose their disks; the cluster comes back from its backup by switching blank machines on."""

import calendar
import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.place import Cluster, cluster
from tests.cluster.proof import note
from tests.cluster.spec import Shape
from tests.lab.command import LabError
from tests.lab.command import run as run_command
from tests.lab.run import Run
from tests.lab.wait import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(5400)]

OBJECTS = 100
ETCD_PROGRAMS = ("etcd", "etcdctl")


@pytest.fixture(scope="module", params=["external", "stacked"])
def made(lab: Run, kubeseed: Path, node_image: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster with etcd as a service of its own, then with kubeadm's; nothing is powered on yet."""
    shape = Shape(f"r-{request.param}", masters=3, workers=1, topology=request.param)
    image = without_etcd(node_image, lab.folder / "without-etcd") if shape.topology == "stacked" else node_image
    with cluster(lab, kubeseed, image, shape) as place:
        yield place


def without_etcd(image: Path, folder: Path) -> Path:
    """The image as a master with stacked etcd has it: etcd and its tools are in the container image alone."""
    folder.mkdir()
    run_command(["cp", "-a", "--reflink=auto", image / "root", folder / "root"], timeout=300)
    for name in ETCD_PROGRAMS:
        (folder / "root/usr/bin" / name).unlink()
    return folder


@pytest.fixture(scope="module")
def saved(made: Cluster) -> tuple[Cluster, str]:
    """The cluster with a backup of OBJECTS objects, and one object that came later; the backup's id."""
    made.power_on(made.shape.names)
    made.until_ready(made.shape.names)
    made.until_done(made.shape.names)
    create(made, range(OBJECTS))
    made.site.command("backup", "now", made.site.out)
    tick(made)
    create(made, ["later"])
    listed = json.loads(made.site.command("backup", "list", made.site.out, "--json"))
    assert len(listed) == 1
    return made, listed[0]["id"]


def create(cluster: Cluster, names: Iterable[object]) -> None:
    """Config maps of these names, in one list."""
    items = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"object-{name}"}, "data": {"word": "kept"}}
        for name in names
    ]
    (cluster.root("m1") / "root/objects.json").write_text(
        json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    )
    cluster.kubectl("m1", "create", "-f", "/root/objects.json")


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
        f"3 masters with blank disks, {cluster.shape.topology} etcd: all nodes Ready"
        f" {time.monotonic() - began:.0f} s after the order",
    )
    assert objects(cluster) == {f"object-{number}" for number in range(OBJECTS)}
    assert (cluster.root("m1") / "etc/kubernetes/pki/ca.crt").read_bytes() == authority


def closed(cluster: Cluster, name: str) -> bool:
    return bool(cluster.site.node(name)["state"] == "closed")


def test_etcd_has_three_members_that_vote(saved: tuple[Cluster, str]) -> None:
    check_members(saved[0])


def check_members(cluster: Cluster) -> None:
    """Those of before are nowhere: each name is there once, and each member follows the same leader."""
    told = [cluster.etcd(name, "endpoint", "status")[0]["Status"] for name in cluster.shape.master_names]
    assert len({one["header"]["cluster_id"] for one in told}) == 1
    assert len({one["leader"] for one in told}) == 1
    members = cluster.etcd("m2", "member", "list")["members"]
    assert sorted(member["name"].removeprefix("etcd-") for member in members) == list(cluster.shape.master_names)
    assert {one["header"]["member_id"] for one in told} == {member["ID"] for member in members}


def test_the_worker_works_on(saved: tuple[Cluster, str]) -> None:
    cluster, _ = saved
    create(cluster, ["after"])
    assert "object-after" in objects(cluster)
    until("the worker's kubelet speaks to the restored API", lambda: lease_moves(cluster), 180)


def lease_moves(cluster: Cluster) -> bool:
    """Whether the worker's heartbeat is younger than a minute: containers have this machine's clock."""
    lease = json.loads(cluster.kubectl("m1", "-n", "kube-node-lease", "get", "lease", "w1", "-o", "json"))
    renewed = time.strptime(lease["spec"]["renewTime"][:19], "%Y-%m-%dT%H:%M:%S")
    return time.time() - calendar.timegm(renewed) < 60


def test_every_member_says_that_it_is_done(saved: tuple[Cluster, str]) -> None:
    cluster, _ = saved
    tick(cluster)
    assert sorted(cluster.site.look()["restore"]["done"]) == list(cluster.shape.master_names)


def test_masters_that_lost_their_quorum_go_back_in_place(saved: tuple[Cluster, str]) -> None:
    """The power fails, and two members do not get over it: kubelets start that never reach an API server."""
    cluster, name = saved
    masters = cluster.shape.master_names
    assert "object-after" in objects(cluster)
    for master in masters:
        cluster.site.cut_power(master)
    for master in masters[1:]:
        with (cluster.root(master) / "var/lib/etcd/member/snap/db").open("r+b") as database:
            database.write(bytes(8192))
    cluster.site.power_on(masters, cluster.image, "--driver", cluster.shape.driver)
    until("the last member runs", lambda: runs_etcd(cluster, "m1"), 180, interval=1)
    began = time.monotonic()
    cluster.site.command("restore", cluster.site.out, "--from", name)
    tick(cluster)
    assert sorted(cluster.site.look()["restore"]["done"]) == list(masters)
    cluster.until_healthy(masters)
    note(
        "R",
        f"3 masters, {cluster.shape.topology} etcd, power cut, two members damaged, restored in place:"
        f" API servers answer {time.monotonic() - began:.0f} s after the order",
    )
    assert objects(cluster) == {f"object-{number}" for number in range(OBJECTS)}
    check_members(cluster)
    create(cluster, ["last"])
    until("the worker's kubelet speaks to the restored API", lambda: lease_moves(cluster), 180)
    until("all nodes are Ready", lambda: set(cluster.ready_nodes()) == set(cluster.shape.names), 300, interval=1)


def runs_etcd(cluster: Cluster, name: str) -> bool:
    """Whether there is such a process: without a quorum it answers nobody."""
    try:
        return bool(cluster.inside(name, "pidof", "etcd"))
    except LabError:
        return False


def tick(cluster: Cluster) -> None:
    """What the timer does, on all masters at once; a run of its own that has begun already counts."""
    command = ("systemctl", "start", "kubeseed-backup.service")
    with ThreadPoolExecutor(cluster.shape.masters) as pool:
        list(pool.map(lambda master: cluster.inside(master, *command, timeout=1800), cluster.shape.master_names))
