"""Runs a control plane without containers: kubeadm's own phases on our files, then the manifests' commands."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from generator.plan.etcd import plan_member, plan_members
from generator.render.audit import render_audit_policy
from generator.render.etcd import render_etcd
from generator.render.kubeadm import render_init
from generator.spec.cluster import Cluster
from http_server.pki import key_pem, make_rsa_key, public_pem
from http_server.service.authority import encryption_configuration
from tests.example import NODES, example
from tests.judge.network import Machine, machines
from tests.judge.pki import make_authorities, write_pki

PROGRAMS = ("kubeadm", "kubectl", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
VARIABLE = "KUBESEED_KUBERNETES"
# Programs see `folder` as /etc/kubernetes, and nothing else does.
_IN_PLACE = 'mount --bind "$1" /etc/kubernetes && shift && exec "$@"'


def programs() -> Path:
    """The folder with Kubernetes' programs: of the environment, else what the lab has built."""
    named = os.environ.get(VARIABLE)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubeseed" / "lab"
    for folder in [Path(named)] if named else [path.parent for path in sorted(base.glob("kubernetes*/**/kubeadm"))]:
        if all((folder / name).is_file() for name in PROGRAMS):
            return folder
    pytest.skip(f"no Kubernetes programs: set {VARIABLE} to a folder with {', '.join(PROGRAMS)}")


@dataclass
class ControlPlane:
    """The first master's control plane."""

    cluster: Cluster
    machine: Machine
    folder: Path
    programs: Path
    said: dict[str, str]

    def in_place(self, arguments: list[str]) -> list[str]:
        here = str(self.folder / "kubernetes")
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", _IN_PLACE, "sh", here, *arguments]

    def kubeadm(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.machine.call(self.in_place([str(self.programs / "kubeadm"), *words]))

    def kubectl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """As the administrator."""
        admin = ["--kubeconfig", "/etc/kubernetes/admin.conf", "--cache-dir", str(self.folder / "cache")]
        return self.machine.call(self.in_place([str(self.programs / "kubectl"), *admin, *words]))

    def apply(self, name: str, text: bytes) -> None:
        (self.folder / name).write_bytes(text)
        applied = self.kubectl("apply", "-f", str(self.folder / name))
        assert applied.returncode == 0, applied.stderr

    def start(self, name: str, command: list[str]) -> None:
        self.machine.start(self.in_place(command), self.folder / f"{name}.log")

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def manifest(self, component: str) -> dict[str, Any]:
        path = self.folder / "kubernetes" / "manifests" / f"{component}.yaml"
        return dict(yaml.safe_load(path.read_text()))

    def answers(self, url: str) -> bool:
        return self.machine.call(["curl", "-skf", "--max-time", "3", url]).stdout == "ok"


def make_cluster(folder: Path) -> Cluster:
    """Kubernetes 1.20, whose programs the lab can build; clients go straight to the first master."""
    return example(
        kubernetes={
            "version": "1.20.2",
            "audit": {"enabled": True, "directory": str(folder / "audit")},
            "certificateValidity": {"ca": "3650d", "leaf": "30d"},
        },
        loadBalancer={"mode": "external", "address": "192.168.77.11", "port": 6443},
        nodes=[NODES[0], {**NODES[1], "roles": ["master"]}, NODES[3]],
    )


def place(cluster: Cluster, folder: Path) -> None:
    """What stage pki and the node's files put below /etc/kubernetes."""
    here = folder / "kubernetes"
    write_pki(cluster, cluster.first_master, make_authorities(), here / "pki", keys=True)
    account = make_rsa_key()
    (here / "pki" / "sa.key").write_bytes(key_pem(account).reveal())
    (here / "pki" / "sa.pub").write_bytes(public_pem(account))
    (here / "encryption.yaml").write_bytes(encryption_configuration("aescbc", os.urandom(32)))
    (here / "audit-policy.yaml").write_bytes(render_audit_policy().data)
    (folder / "audit").mkdir()
    (folder / "init.yaml").write_bytes(render_init(cluster).data)
    members = plan_members(cluster)
    own = render_etcd(plan_member(cluster.first_master), members, str(folder / "etcd"))
    (folder / "etcd.yaml").write_bytes(own.data)


@contextlib.contextmanager
def control_plane(folder: Path) -> Iterator[ControlPlane]:
    """kubeadm's phases up to the manifests, then etcd and everything that the manifests say."""
    found, cluster = programs(), make_cluster(folder)
    place(cluster, folder)
    made = Path("/etc/kubernetes")
    absent = not made.exists()
    made.mkdir(exist_ok=True)
    try:
        with machines({"m1": "192.168.77.11/24"}) as nodes:
            running = ControlPlane(cluster, nodes["m1"], folder, found, {})
            _phases(running)
            _start(running)
            yield running
    finally:
        if absent:
            made.rmdir()


def _phases(running: ControlPlane) -> None:
    configuration = ("--config", str(running.folder / "init.yaml"))
    for phase in ("certs all", "kubeconfig all", "control-plane all"):
        done = running.kubeadm("init", "phase", *phase.split(), *configuration)
        assert done.returncode == 0, done.stderr
        running.said[phase] = done.stdout + done.stderr


def _start(running: ControlPlane) -> None:
    etcd = shutil.which("etcd")
    if not etcd:
        pytest.skip("no etcd on this machine")
    running.start("etcd", [etcd, "--config-file", str(running.folder / "etcd.yaml")])
    for component in PROGRAMS[2:]:
        command = running.manifest(component)["spec"]["containers"][0]["command"]
        running.start(component, [str(running.programs / command[0]), *command[1:]])
    deadline = time.monotonic() + 90
    while not running.answers("https://192.168.77.11:6443/readyz") and time.monotonic() < deadline:
        time.sleep(1)
