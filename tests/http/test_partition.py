"""A network that falls apart: three hosts with etcd, a coordinator on each side of the cut (row F20)."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.backup.etcd import Authority, Cluster, Member
from tests.http import etcd
from tests.http.outfolder import OutFolder
from tests.http.process import REPOSITORY, Coordinator, Machine, command, fresh_out
from tests.http.test_shared import OWN
from tests.http.wait import wait_for
from tests.lab.run import Run
from tests.lab.service import Service

PORT, BOOT_PORT = 8443, 8080


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=30)


@dataclass
class Lan:
    """Hosts as network namespaces, on one bridge."""

    prefix: str

    def name(self, host: int) -> str:
        return f"{self.prefix}h{host}"

    @staticmethod
    def address(host: int) -> str:
        return f"10.77.0.{10 + host}"

    def inside(self, host: int) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.name(host)}"]

    def plug(self, host: int, state: str) -> None:
        """`down` cuts the host off, `up` puts its cable back."""
        ip("-n", f"{self.prefix}lan", "link", "set", f"port{host}", state)


@contextmanager
def lan(prefix: str, hosts: int) -> Iterator[Lan]:
    made, switch = Lan(prefix), f"{prefix}lan"
    with ExitStack() as stack:
        for name in (switch, *(made.name(host) for host in range(1, hosts + 1))):
            ip("netns", "add", name)
            stack.callback(ip, "netns", "delete", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", switch, "link", "add", "br0", "type", "bridge")
        ip("-n", switch, "link", "set", "br0", "up")
        for host in range(1, hosts + 1):
            name = made.name(host)
            ip("-n", switch, "link", "add", f"port{host}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("-n", switch, "link", "set", f"port{host}", "master", "br0", "up")
            ip("-n", name, "addr", "add", f"{made.address(host)}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield made


def member(network: Lan, host: int, home: Path, authority: Authority) -> Member:
    """An etcd member on a host; its programs run there."""
    programs = home / f"programs{host}"
    programs.mkdir(parents=True)
    for name in ("etcd", "etcdctl"):
        script = programs / name
        script.write_text(f'#!/bin/sh\nexec {" ".join(network.inside(host))} {etcd.programs() / name} "$@"\n')
        script.chmod(0o755)
    made = Member(f"m{host}", network.address(host), home / f"m{host}", programs)
    authority.write(made.pki)
    authority.issue(made.pki / "server", made.address, "127.0.0.1")
    authority.issue(made.pki / "healthcheck-client")
    return made


@dataclass
class Site:
    """A coordinator on one host, and nodes that reach it there."""

    network: Lan
    host: int
    coordinator: Coordinator

    def order(self, path: str) -> int:
        return self.coordinator.order(path).status_code

    def seen(self) -> dict[str, str]:
        """States of the nodes; empty without an answer."""
        with self.coordinator.operator() as client:
            answer = client.get("/status")
        return {name: node["state"] for name, node in answer.json().get("nodes", {}).items()}

    def ask(self, path: str, header: str, machine: Machine | None = None) -> str:
        """The status code of a node's request over TLS; an enrolment when a machine is given."""
        root = self.coordinator.out.root
        file = root.parent / f"header-{self.host}"
        file.write_text(f"Authorization: {header}\n")
        form = httpx.Request("POST", "https://x/", data=machine.form()).read().decode() if machine else ""
        words = ["curl", "-s", "-m", "30", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"@{file}"]
        trust = ["--cacert", str(root / "secrets" / "root.crt"), *(["--data", form] if form else [])]
        call = [*self.network.inside(self.host), *words, *trust, f"https://127.0.0.1:{PORT}{path}"]
        return subprocess.run(call, capture_output=True, text=True, timeout=60, check=False).stdout

    def enrol(self, machine: Machine) -> str:
        return self.ask("/v1/enrol", self.coordinator.out.seal(machine.name), machine)


@contextmanager
def serving(network: Lan, host: int, out: OutFolder, *endpoints: Member, environment: dict[str, str]) -> Iterator[Site]:
    store = f"etcd:{','.join(f'https://{one.address}:2379' for one in endpoints)}/test"
    listen = ["--listen", f"0.0.0.0:{PORT}", "--boot-listen", f"0.0.0.0:{BOOT_PORT}"]
    words = [*network.inside(host), *command("serve", str(out.root), "--store", store, *listen)]
    log = out.root.parent / f"serve-{host}.log"
    with Service(words, log, {**environment, "PYTHONPATH": str(REPOSITORY)}):
        site = Site(network, host, Coordinator(out, PORT, BOOT_PORT))
        wait_for(lambda: (out.root / "state" / "admin.sock").exists() and bool(site.seen()), 60)
        yield site


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_the_minority_is_silent_and_the_majority_goes_on(lab: Run, tmp_path: Path) -> None:
    authority = Authority("etcd-ca")
    with lan(f"{lab.namespace_prefix}cut-", 3) as network, ExitStack() as stack:
        members = [member(network, host, tmp_path / "etcd", authority) for host in (1, 2, 3)]
        cluster = Cluster(authority, members)
        stack.callback(cluster.stop)
        cluster.start()
        out = fresh_out(tmp_path / "one", PORT)
        etcd.put_files(out.root / "state" / "etcd", members[0])
        for path in (out.root / "state").glob("coordinator.db*"):
            path.unlink()
        (out.root / "state" / "audit.head").unlink(missing_ok=True)
        environment = lab.environment
        alone = stack.enter_context(serving(network, 1, out, members[0], environment=environment))
        shutil.copytree(out.root, tmp_path / "two" / "out", ignore=OWN)
        other = OutFolder(tmp_path / "two" / "out", out.inventory, out.secrets)
        many = stack.enter_context(serving(network, 2, other, members[1], members[2], environment=environment))

        first, second = alone.coordinator.machine("w1"), alone.coordinator.machine("w2")
        assert alone.enrol(first) == "200"
        assert many.ask("/v1/files", first.header) == "200"
        network.plug(1, "down")
        assert alone.enrol(second) == "503"
        assert alone.ask("/v1/files", first.header) == "503"
        assert alone.ask("/v1/pki", first.header) == "503"
        assert alone.order("/nodes/w1/rearm") == 503
        assert alone.seen() == {}
        assert alone.ask("/healthz", "") == "200"
        wait_for(lambda: bool(many.seen()), 30)
        assert many.enrol(second) == "200"
        assert many.order("/nodes/w1/revoke") == 200
        network.plug(1, "up")
        wait_for(lambda: alone.seen().get("w1") == "revoked", 60)
        assert alone.ask("/v1/files", first.header) == "401"
        assert alone.ask("/v1/files", second.header) == "200"
        assert alone.enrol(alone.coordinator.machine("w2")) == "409"
