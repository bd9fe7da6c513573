"""What two machines are after they have configured themselves: done, tuned, bound once, and silent about secrets."""

import re
import stat
from pathlib import Path

import pytest

from tests.lab.journal import export
from tests.lab.namespace import HOST
from tests.lab.secret_search import (
    Finding,
    search_all,
    search_readable,
    search_words,
    secrets_of_node,
    secrets_of_out,
)
from tests.vm.story import MASTER, PASSWORD_HASH, WORKER, Story

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3600)]

NODES = (MASTER, WORKER)
SKIPPED = {"engine", "packages", "load-balancer", "etcd", "init", "join", "verify", "addons", "backup"}


def facts(story: Story, node: str, name: str) -> str:
    """What the machine itself found in force when it was powered off."""
    return (story.disks[node] / "var/lib/lab-facts" / name).read_text()


@pytest.mark.proves("booted", "first boots from power-on to scrub, of virtual machines and containers", os="debian-12")
@pytest.mark.parametrize("node", NODES)
def test_every_stage_is_done_or_skipped(story: Story, node: str) -> None:
    stages = {name: stage["state"] for name, stage in story.status["nodes"][node]["stages"].items()}
    assert set(story.status["stages"]) == set(stages)
    assert {name for name, state in stages.items() if state == "skipped"} == SKIPPED
    assert {state for name, state in stages.items() if name not in SKIPPED} == {"done"}


@pytest.mark.parametrize("node", NODES)
def test_the_enrolment_is_closed(story: Story, node: str) -> None:
    assert story.status["nodes"][node]["state"] == "closed"


@pytest.mark.parametrize("node", NODES)
def test_a_power_cut_or_a_dead_coordinator_changes_no_credential(story: Story, node: str) -> None:
    before, after = story.fingerprints[node]
    assert re.fullmatch(r"([0-9a-f]{4}-){4}[0-9a-f]{4}", before)
    assert before == after


def test_the_master_lost_its_power_in_the_middle(story: Story) -> None:
    assert story.site.console(MASTER).count("running 'init-local'") == 2
    assert story.site.console(WORKER).count("running 'init-local'") == 1


def test_nothing_alarming_happened(story: Story) -> None:
    assert "alarm" not in story.events


@pytest.mark.parametrize("node", NODES)
def test_the_node_has_its_own_address(story: Story, node: str) -> None:
    assert story.status["nodes"][node]["address"] in facts(story, node, "addresses")


@pytest.mark.parametrize("node", NODES)
def test_the_kernel_has_the_settings(story: Story, node: str) -> None:
    wanted = settings((story.disks[node] / "etc/sysctl.d/95-kubeseed.conf").read_text())
    in_force = settings(facts(story, node, "sysctl"))
    if story.driver == "nspawn":
        wanted.pop("net.netfilter.nf_conntrack_max")  # the first network namespace's alone
    missing = wanted.keys() - in_force.keys()
    assert len(wanted) > 20
    assert len(missing) <= 4, f"this kernel has no {missing}"
    assert {key: in_force[key] for key in wanted.keys() - missing} == {
        key: wanted[key] for key in wanted.keys() - missing
    }


def settings(text: str) -> dict[str, str]:
    """The first line of each key counts.

    In a container /proc/sys is a copy of plain files. At a later boot systemd-sysctl writes `0` over the two digits of
    `60` there, and `sysctl -a` shows what is left of them as a second, empty line.
    """
    pairs = [line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return {key.strip(): value.strip() for key, _, value in reversed(pairs)}


@pytest.mark.parametrize("node", NODES)
def test_swap_is_off(story: Story, node: str) -> None:
    assert len(facts(story, node, "swaps").splitlines()) == 1
    fstab = story.disks[node] / "etc/fstab"
    assert not fstab.exists() or not re.search(r"^[^#].*\sswap\s", fstab.read_text(), re.MULTILINE)


@pytest.mark.parametrize("node", NODES)
def test_hosts_know_each_other(story: Story, node: str) -> None:
    hosts = (story.disks[node] / "etc/hosts").read_text()
    assert "192.168.77.11 m1" in hosts
    assert "192.168.77.21 w1" in hosts


@pytest.mark.parametrize("node", NODES)
def test_name_zone_and_limits_are_in_force(story: Story, node: str) -> None:
    assert facts(story, node, "host").strip() == node
    assert facts(story, node, "zone").strip() == "CST"
    assert "DefaultLimitNOFILE=100000" in facts(story, node, "limits")


def test_containers_have_control_groups_of_their_own(story: Story) -> None:
    if story.driver == "qemu":
        pytest.skip("a virtual machine has a kernel of its own")
    assert story.groups[MASTER]
    assert story.groups[WORKER]
    assert story.groups[MASTER].isdisjoint(story.groups[WORKER])


def test_modules_are_loaded_where_the_node_has_a_kernel(story: Story) -> None:
    if story.driver == "nspawn":
        pytest.skip("a container node has its host's kernel and may load nothing into it")
    assert {"overlay", "br_netfilter", "nf_conntrack"} <= set(facts(story, MASTER, "modules").split())


def test_the_clock_follows_the_spec(story: Story) -> None:
    if story.driver == "nspawn":
        pytest.skip("a container node has its host's clock and may not set it")
    assert f"server {HOST} iburst" in (story.disks[MASTER] / "etc/chrony/chrony.conf").read_text()


@pytest.mark.parametrize("node", NODES)
def test_the_password_is_set(story: Story, node: str) -> None:
    shadow = story.disks[node] / "etc/shadow"
    assert f"ops:{PASSWORD_HASH}:" in shadow.read_text()
    assert not shadow.stat().st_mode & stat.S_IROTH


def test_the_master_has_the_cluster_keys_and_the_worker_has_not(story: Story) -> None:
    keys = {"ca.key", "front-proxy-ca.key", "sa.key", "etcd/ca.key"}
    assert all((story.disks[MASTER] / "etc/kubernetes/pki" / name).is_file() for name in keys)
    found = [str(path) for name in ("ca.key", "sa.key") for path in story.disks[WORKER].rglob(name)]
    assert found == []


@pytest.mark.parametrize("node", NODES)
def test_every_file_with_a_key_is_private(story: Story, node: str) -> None:
    folders = [story.disks[node] / name for name in ("etc/kubernetes", "etc/kubeseed", "var/lib/kubeseed")]
    keys = [path for folder in folders for path in folder.rglob("*") if path.is_file() and holds_key(path)]
    assert len(keys) >= (8 if node == MASTER else 1)
    assert {str(path): oct(path.stat().st_mode & 0o777) for path in keys if path.stat().st_mode & 0o077} == {}


def holds_key(path: Path) -> bool:
    return b"PRIVATE KEY" in path.read_bytes() or path.name in {"credential", "node.curl"}


@pytest.mark.parametrize("node", NODES)
def test_the_seeds_secret_has_left_the_disk(story: Story, node: str, tmp_path: Path) -> None:
    secret = {name: value for name, value in secrets_of_out(story.site.out).items() if name.endswith(f"of {node}")}
    assert len(secret) == 1
    assert search_all([story.disks[node]], secret, tmp_path) == []


def test_the_worker_is_refused_the_clusters_keys(story: Story, tmp_path: Path) -> None:
    """Its own credential, read from its own disk; in the container tier the worker asks itself, too."""
    credential = tmp_path / "node.curl"
    credential.touch(mode=0o600)
    credential.write_bytes((story.disks[WORKER] / "etc/kubeseed/node.curl").read_bytes())
    ask: list[str | Path] = ["curl", "-sS", "-K", credential, "--cacert", story.site.out / "pxe/ca.crt"]
    status = story.site.network.call([*ask, "-o", "/dev/null", "-w", "%{http_code}", f"https://{HOST}:8443/v1/pki"])
    assert status == "403"
    assert story.worker_asks_for_keys in ("", "403")


def test_no_secret_is_where_it_must_not_be(story: Story, tmp_path: Path) -> None:
    secrets = {"password hash": PASSWORD_HASH.encode(), **secrets_of_out(story.site.out)}
    for node in NODES:
        secrets |= secrets_of_node(node, story.disks[node])
    assert len(secrets) > 20
    found: list[Finding] = []
    for node in NODES:
        disk = story.disks[node]
        found += search_readable(disk, secrets, tmp_path)
        found += search_all([disk / "var/log", export(disk, tmp_path / f"journal-{node}")], secrets, tmp_path)
        found += search_all((story.site.out / "vm" / node).glob("*.log"), secrets, tmp_path)
    found += search_all([*story.site.folder.glob("*.log"), story.site.out / "pxe"], secrets, tmp_path)
    found += search_words(story.processes.words, secrets)
    assert found == []
    # what runs in a container runs on this host, too; of a VM there is the emulator alone
    assert story.processes.seen - story.processes.missed > (100 if story.driver == "nspawn" else 20)
