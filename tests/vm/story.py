"""Tells one story on real machines; the tests look at what it left. A master boots from a disc and loses its power, a
worker boots from a URL and waits for approval while the coordinator is killed.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.disk import read_disk
from tests.lab.journal import keep_journals
from tests.lab.namespace import HOST, lan, namespace
from tests.lab.plugin import keep_logs
from tests.lab.processes import ProcessWatch
from tests.lab.run import Run
from tests.lab.site import BOOT_URL, Site, site
from tests.lab.wait import until

MASTER, WORKER = "m1", "w1"
ADDRESSES = {"52:54:00:00:00:11": "192.168.77.11", "52:54:00:00:00:21": "192.168.77.21"}
# SHA-512 crypt of nothing anybody uses: it must be in /etc/shadow and in no log.
PASSWORD_HASH = "$6$canary0canary0$Hn4.kubeseedHashCanary.kubeseedHashCanary.kubeseedHashCanary.kubeseedHashCanary"
SPEC = """
apiVersion: kubeseed/v1
kind: Cluster
metadata: {{name: lab}}
coordinator: {{url: "https://{host}:8443", bootUrl: "http://{host}:8080"}}
etcd: {{topology: stacked}}
bootstrap: {{skipStages: [engine, packages, load-balancer, etcd, init, join, verify, addons, backup]}}
defaults:
  timezone: Asia/Shanghai
  ntp: [{ntp}]
  checkResources: false
  checkUniqueIds: {unique}
  users: [{{name: ops, passwordHash: "{hash}"}}]
  network: {{gateway: {host}, nameservers: [{host}], prefix: 24}}
nodes:
- {{name: m1, roles: [master], address: 192.168.77.11, mac: "52:54:00:00:00:11"}}
- {{name: w1, roles: [worker], address: 192.168.77.21, mac: "52:54:00:00:00:21"}}
"""


@dataclass(frozen=True, slots=True)
class Tier:
    """What runs the machines, and how long a boot may take there: seconds on a busy machine of two cores."""

    driver: str
    patience: int
    ntp: str
    options: tuple[str, ...] = ()


# A container shares the host's clock and may not set it.
CONTAINERS = Tier("nspawn", 300, "")
MACHINES = Tier("qemu", 1500, HOST, ("--memory", "1024", "--cpus", "1"))


@dataclass(slots=True)
class Story:
    """What is left when it is over: the last status, fingerprints on the way, the machines' disks."""

    driver: str
    site: Site
    status: dict[str, Any] = field(default_factory=dict)
    fingerprints: dict[str, list[str]] = field(default_factory=dict)
    disks: dict[str, Path] = field(default_factory=dict)
    events: str = ""
    worker_asks_for_keys: str = ""
    groups: dict[str, set[str]] = field(default_factory=dict)
    processes: ProcessWatch = field(default_factory=ProcessWatch)


@contextmanager
def told(run: Run, kubeseed: Path, image: Path, tier: Tier) -> Iterator[Story]:
    """Plays the story to its end; its site is still there inside the block, its machines are off."""
    folder = run.folder / tier.driver
    folder.mkdir()
    with namespace(run, tier.driver) as network, site(kubeseed, network, folder) as place:
        story = Story(tier.driver, place)
        try:
            with lan(network, folder, ADDRESSES, image / "root"), story.processes:
                _play(story, image, tier)
            yield story
        finally:
            keep_journals(place.out / "vm", folder)
            keep_logs(folder, f"vm-{tier.driver}")


def _play(story: Story, image: Path, tier: Tier) -> None:
    place = story.site
    # Containers all show the host's product_uuid.
    unique = "false" if tier is CONTAINERS else "true"
    place.generate(SPEC.format(host=HOST, ntp=tier.ntp, hash=PASSWORD_HASH, unique=unique))
    place.serve()
    options = ("--driver", tier.driver, *tier.options)
    place.power_on([MASTER], image, *options)
    _cut_the_masters_power(story, image, tier)
    place.power_on([WORKER], image, "--boot-url", BOOT_URL, *options)
    _kill_the_coordinator_while_the_worker_waits(story, tier)
    for node in (MASTER, WORKER):
        place.until_done(node, tier.patience)
        _note(story, node)
    story.status = place.status()
    story.events = place.command("events", place.out)
    if tier is CONTAINERS:
        story.worker_asks_for_keys = _ask_for_keys_inside(place)
        for node in (MASTER, WORKER):
            story.groups[node] = _systemds_groups(place, node)
    place.shut_down()
    for node in (MASTER, WORKER):
        story.disks[node] = read_disk(place, node, place.folder / f"disk-{node}")


def _cut_the_masters_power(story: Story, image: Path, tier: Tier) -> None:
    """In the middle: it has enrolled, and its stages are not over, which takes a container a second or two."""
    place = story.site
    enrolled = re.compile(r"\[ ?\d+/\d+\] enrol \.\.\. done")
    until("the master has enrolled", lambda: enrolled.search(place.console(MASTER)), tier.patience, interval=0.01)
    place.cut_power_at_once(MASTER)
    _note(story, MASTER)
    assert not place.stage_is(MASTER, "scrub", "done"), "the power was cut too late to prove anything"
    place.power_on([MASTER], image, "--driver", tier.driver, *tier.options)


def _kill_the_coordinator_while_the_worker_waits(story: Story, tier: Tier) -> None:
    """It enrols PENDING; the coordinator dies by kill -9 and comes back; the same fingerprint is approved."""
    place = story.site
    until("the worker asks for approval", lambda: place.node(WORKER)["state"] == "pending", tier.patience)
    _note(story, WORKER)
    assert place.coordinator is not None
    place.coordinator.kill()
    time.sleep(3)
    place.serve()
    fingerprint = place.node(WORKER)["fingerprint"]
    until("the console shows the fingerprint", lambda: fingerprint in place.console(WORKER), 30)
    place.command("approve", place.out, WORKER, fingerprint)


def _note(story: Story, node: str) -> None:
    story.fingerprints.setdefault(node, []).append(story.site.node(node)["fingerprint"])


def _ask_for_keys_inside(place: Site) -> str:
    """The worker itself asks for the cluster's keys, with its own credential; the status that it gets."""
    process = str(place.process(WORKER))
    ask = ["curl", "-sS", "-K", "/etc/kubeseed/node.curl", "--cacert", "/etc/kubeseed/ca.crt"]
    answer = ["-o", "/dev/null", "-w", "%{http_code}", f"https://{HOST}:8443/v1/pki"]
    return place.network.call(["nsenter", "--target", process, "--all", *ask, *answer])


def _systemds_groups(place: Site, node: str) -> set[str]:
    """Where the container's systemd keeps its services, in each hierarchy that it uses."""
    lines = Path(f"/proc/{place.process(node)}/cgroup").read_text().splitlines()
    return {line for line in lines if "payload" in line}
