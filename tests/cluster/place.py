"""Knows a cluster on container nodes: how to switch it on, ask it, and look into its nodes."""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.cluster.spec import Shape, address, spec
from tests.lab.command import LabError
from tests.lab.journal import keep_journals
from tests.lab.namespace import lan, namespace
from tests.lab.plugin import keep_logs
from tests.lab.processes import ProcessWatch
from tests.lab.run import Run
from tests.lab.shell import in_container, in_machine
from tests.lab.site import Site, site
from tests.lab.wait import until

ADMIN = "/etc/kubernetes/admin.conf"
KUBESEED = "/usr/local/lib/kubeseed"
# Seconds for one node on a busy machine of two cores.
PATIENCE = 900


@dataclass(slots=True)
class Cluster:
    """A site whose machines run Kubernetes. `powered` is when each node was switched on, `ready` when it was ready."""

    site: Site
    image: Path
    shape: Shape
    powered: dict[str, float] = field(default_factory=dict)
    ready: dict[str, float] = field(default_factory=dict)
    processes: ProcessWatch = field(default_factory=ProcessWatch)

    def prepare(self) -> None:
        """Generates OUT and starts the coordinator."""
        self.site.generate(spec(self.shape))
        self.site.serve()

    def power_on(self, names: Sequence[str]) -> None:
        """Switches nodes on; copying their disks is not part of any time."""
        self.site.power_on(names, self.image, "--driver", self.shape.driver)
        for name in names:
            self.powered.setdefault(name, self.site.power_on_time(name))

    def until_ready(self, names: Sequence[str], seconds: float = PATIENCE) -> None:
        """Waits until Kubernetes calls all these nodes Ready; asks whichever master answers."""
        waiting = set(names)
        deadline = time.monotonic() + seconds
        while waiting:
            for name in waiting & set(self.ready_nodes()):
                self.ready[name] = time.time() - self.powered[name]
                waiting = waiting - {name}
            self._give_up_on_stopped(waiting)
            if time.monotonic() > deadline:
                raise LabError(f"not Ready after {seconds:.0f} s: {', '.join(sorted(waiting))}")
            time.sleep(1)

    def _give_up_on_stopped(self, names: set[str]) -> None:
        try:
            nodes = self.site.look()["nodes"]
        except LabError:
            return
        for name in names:
            for stage, word in nodes[name]["stages"].items():
                if word["state"] == "stopped":
                    raise LabError(f"{name} stopped in stage {stage}:\n{word['log']}")

    def until_done(self, names: Sequence[str], seconds: float = PATIENCE) -> None:
        """Waits until the bootstrap of all these nodes is over."""
        for name in names:
            self.site.until_done(name, seconds)

    def root(self, name: str) -> Path:
        """A container node's root folder, as this host sees it."""
        return self.site.out / "vm" / name / "root"

    def inside(self, name: str, *words: str, timeout: float = 60) -> str:
        """Runs a program on a node; its standard output."""
        if self.shape.driver == "qemu":
            return in_machine(self.site.network, address(name), list(words), timeout)
        return in_container(self.site.network, self.site.process(name), list(words), timeout)

    def kubectl(self, name: str, *words: str) -> str:
        """kubectl on a master, with its own admin.conf: through that node's own load balancer."""
        if self.shape.driver == "qemu":
            return self._kubectl_from_here(name, *words)
        return self.inside(name, "kubectl", "--kubeconfig", ADMIN, "--request-timeout=10s", *words)

    def _kubectl_from_here(self, name: str, *words: str) -> str:
        """kubectl on this computer: a program of its size would slow down the emulated machine that is being timed."""
        config = self.site.folder / f"admin-{name}.conf"
        if not config.exists():
            config.touch(0o600)
            config.write_text(self.inside(name, "cat", ADMIN))
        program, server = self.image / "root/usr/bin/kubectl", f"https://{address(name)}:6443"
        return self.site.network.call([program, "--kubeconfig", config, "--server", server, *words])

    def ready_nodes(self) -> tuple[str, ...]:
        """Names of the nodes that are Ready, by the first master that answers; none when none does."""
        template = r'{range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}'
        for name in self.masters_on():
            try:
                told = self.kubectl(name, "get", "nodes", "-o", f"jsonpath={template}")
            except LabError:
                continue
            return tuple(line.split()[0] for line in told.splitlines() if line.endswith(" True"))
        return ()

    def masters_on(self) -> tuple[str, ...]:
        """Masters that are powered and have an admin.conf."""
        return tuple(name for name in self.shape.master_names if self.on(name) and self._has_admin(name))

    def _has_admin(self, name: str) -> bool:
        """A virtual machine is asked no more than whether its API server is there."""
        if self.shape.driver == "qemu":
            return self._healthy(name)
        return (self.root(name) / ADMIN[1:]).exists()

    def on(self, name: str) -> bool:
        """Whether a node runs; a container's own processes are there until its end."""
        record = self.root(name).with_name("machine.json")
        inside = "" if self.shape.driver == "qemu" else "root/proc/1"
        return record.exists() and Path(f"/proc/{self.site.process(name)}", inside).exists()

    def etcd(self, name: str, *words: str) -> Any:
        """etcdctl on a node, wherever the node has it from, with the health check's certificate."""
        pki = "/etc/kubernetes/pki/etcd"
        key = [f"--cacert={pki}/ca.crt", f"--cert={pki}/healthcheck-client.crt", f"--key={pki}/healthcheck-client.key"]
        program = ["env", "ETCDCTL_API=3", f"PATH={KUBESEED}/bin:/usr/bin", "etcdctl"]
        return json.loads(self.inside(name, *program, *key, "--endpoints=https://127.0.0.1:2379", *words, "-w", "json"))

    def grow(self) -> str:
        """Adds a worker to the spec and generates again, as an operator would; its name."""
        self.shape = self.shape.grown
        self.site.generate(spec(self.shape))
        return self.shape.worker_names[-1]

    def until_healthy(self, names: Sequence[str], seconds: float = 120) -> None:
        """Waits until every API server of these masters says so itself."""
        for name in names:
            until(f"the API server of {name} is healthy", partial(self._healthy, name), seconds)

    def _healthy(self, name: str) -> bool:
        asks: Sequence[str | Path] = ["curl", "-sk", "--max-time", "3", f"https://{address(name)}:6443/healthz"]
        try:
            return self.site.network.call(asks) == "ok"
        except LabError:
            return False


@contextmanager
def cluster(run: Run, kubeseed: Path, image: Path, shape: Shape) -> Iterator[Cluster]:
    """A cluster that is generated and whose coordinator runs; nothing is powered on yet."""
    folder = run.folder / shape.name
    folder.mkdir()
    with namespace(run, shape.name) as network, site(kubeseed, network, folder) as place:
        made = Cluster(place, image, shape)
        try:
            with lan(network, folder, {}, image / "root"), made.processes:
                made.prepare()
                yield made
        finally:
            keep_journals(place.out / "vm", folder, "kubelet", "containerd")
            keep_logs(folder, f"cluster-{shape.name}")
    # Two GiB for each node, which are off now; a disk that fills up would be the next scenario's trouble.
    shutil.rmtree(place.out / "vm", ignore_errors=True)
