"""Both sides for real: the node's own scripts, with curl and openssl, ask the real coordinator."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography import x509

from tests.http.process import Coordinator
from tests.http.wait import wait_for
from tests.node.machine import Machine, assert_root, words

pytestmark = pytest.mark.skipif(bool(assert_root()), reason=str(assert_root()))
STAGES = "clock enrol files pki scrub"
KINDS = ("apiserver", "admin", "etcd-peer", "front-proxy-client", "kubelet-serving")


def pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def carry(near: socket.socket, port: int) -> None:
    """One connection, both ways, until either side is done."""
    with near, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as far:
        back = threading.Thread(target=pump, args=(far, near))
        back.start()
        pump(near, far)
        back.join()


def forward(door: socket.socket, port: int) -> None:
    """From the machine's own loopback to the coordinator's, until the door is closed."""
    with contextlib.suppress(OSError):
        while True:
            near, _ = door.accept()
            threading.Thread(target=carry, args=(near, port), daemon=True).start()


@pytest.fixture
def machine() -> Iterator[Machine]:
    with TemporaryDirectory(dir="/dev/shm", prefix="kubeseed-") as folder, Machine(Path(folder)) as made:
        yield made


@contextlib.contextmanager
def seeded(machine: Machine, coordinator: Coordinator, *, macs: list[str], sealed: bool = True) -> Iterator[Machine]:
    """The machine with m1's seed, its inventory entry with these cards."""
    coordinator.kill()
    coordinator.out.node("m1")["macs"] = macs
    coordinator.out.write_inventory()
    coordinator.start()
    with machine.listen() as door:
        threading.Thread(target=forward, args=(door, coordinator.port), daemon=True).start()
        root = (coordinator.out.root / "secrets" / "root.crt").read_text()
        secret = coordinator.out.seal("m1").partition(" ")[2] if sealed else None
        url = f"https://127.0.0.1:{door.getsockname()[1]}"
        machine.seed(root, secret, COORDINATORS=url, STAGES=STAGES, CERTIFICATES=" ".join(KINDS))
        yield machine


def test_a_first_master_enrols_and_gets_all_that_is_its(machine: Machine, coordinator: Coordinator) -> None:
    with seeded(machine, coordinator, macs=[]):
        status, output = machine.boot(seconds=120)
    assert status == 0, output
    node = coordinator.status()["nodes"]["m1"]
    assert node["state"] == "closed"
    assert {stage: word["state"] for stage, word in node["stages"].items()} == dict.fromkeys(STAGES.split(), "done")
    assert coordinator.status()["init"]["state"] == "pki-delivered"
    assert machine.read("etc/kubeseed/files/kubeadm-join.yaml") == "name: m1\n"
    authority = x509.load_pem_x509_certificate(machine.read("etc/kubernetes/pki/ca.crt").encode())
    issued = x509.load_pem_x509_certificate(machine.read("etc/kubernetes/pki/apiserver.crt").encode())
    issued.verify_directly_issued_by(authority)
    assert "client-key-data" in machine.read("etc/kubernetes/admin.conf")
    for name in ("ca.key", "sa.key", "etcd/ca.key", "apiserver.key"):
        assert machine.path(f"etc/kubernetes/pki/{name}").stat().st_mode & 0o777 == 0o600
    assert not machine.path("etc/kubeseed/enrol.curl").exists()


def test_power_cuts_and_coordinator_crashes_strand_nobody(machine: Machine, coordinator: Coordinator) -> None:
    with seeded(machine, coordinator, macs=[]):
        for pause in (0.3, 0.6, 0.9, 1.2, 1.5):
            machine.start()
            time.sleep(pause)
            machine.cut_power()
            coordinator.kill()
            coordinator.start()
        status, output = machine.boot(seconds=180)
    assert status == 0, output
    assert coordinator.status()["nodes"]["m1"]["state"] == "closed"
    bound = [row for row in coordinator.events() if row["action"] == "enrolment-bound"]
    assert len(bound) == 1


@pytest.mark.parametrize("sealed", [True, False])
def test_another_machine_or_one_without_a_secret_shows_its_fingerprint(
    machine: Machine, coordinator: Coordinator, sealed: bool
) -> None:
    with seeded(machine, coordinator, macs=["02:00:00:00:00:01"], sealed=sealed):
        machine.start()
        wait_for(lambda: coordinator.status()["nodes"]["m1"]["state"] == "pending", 60)
        fingerprint = coordinator.status()["nodes"]["m1"]["fingerprint"]
        assert coordinator.order("/nodes/m1/approve", {"fingerprint": fingerprint}).status_code == 200
        status, output = machine.finish(seconds=120)
    assert status == 0, output
    assert f"kubeseed approve OUT m1 {fingerprint}" in words(output)


def test_a_revoked_node_stops_and_says_what_to_type(machine: Machine, coordinator: Coordinator) -> None:
    with seeded(machine, coordinator, macs=[]):
        coordinator.order("/nodes/m1/revoke")
        status, output = machine.boot(seconds=60)
    assert status == 20
    assert "kubeseed node rearm OUT m1" in words(output)


def healthy(door: socket.socket) -> None:
    """A kubelet that is well, as far as anybody asks."""
    with contextlib.suppress(OSError):
        while True:
            near, _ = door.accept()
            with near:
                near.recv(65536)
                near.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


def test_a_node_renews_its_certificates_long_after_its_bootstrap(machine: Machine, coordinator: Coordinator) -> None:
    def valid_for(days: int) -> None:
        coordinator.kill()
        for kind in coordinator.out.node("m1")["certificates"].values():
            kind["days"] = days
        coordinator.out.write_inventory()
        coordinator.start()

    def serving() -> x509.Certificate:
        return x509.load_pem_x509_certificate(machine.read("var/lib/kubelet/pki/kubelet.crt").encode())

    with seeded(machine, coordinator, macs=[]):
        valid_for(3)
        status, output = machine.boot(seconds=120)
        assert status == 0, output
        before, conf = serving(), machine.read("etc/kubeseed/node.conf")
        machine.write("etc/kubeseed/node.conf", conf.replace(" ".join(KINDS), "kubelet-serving"))
        valid_for(300)
        renew = "/usr/local/lib/kubeseed/renew"
        with machine.listen(10248) as door:
            threading.Thread(target=healthy, args=(door,), daemon=True).start()
            assert machine.boot(renew, seconds=120)[0] == 0
            assert serving() == before
            later = "echo $(($(/bin/date +%s) + 216000))"
            later = f'#!/bin/sh\ncase $* in +%s) {later} ;; *) exec /bin/date "$@" ;; esac\n'
            machine.write("usr/local/sbin/date", later, 0o755)
            status, output = machine.boot(renew, seconds=120)
    assert status == 0, output
    assert (serving().not_valid_after_utc - before.not_valid_after_utc).days >= 296
    assert "kubelet-serving: renewed until" in output
    issued = [row["detail"] for row in coordinator.events() if row["action"] == "certificate-issued"]
    assert issued[-1]["serial"] == f"{serving().serial_number:x}"
