"""What breaks below the coordinator: disks, clocks, old copies, an etcd that loses answers. At worst it is silent.

The rows F14 to F30 of the failure table that are about the coordinator and its store.
"""

import asyncio
import os
import random
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from starlette.types import ASGIApp

from http_server.app import Traffic, build_app
from http_server.audit_chain import verify
from http_server.coordinator import assemble
from http_server.errors import StartError
from http_server.limit import Rate
from http_server.ports import StoreUnavailableError
from http_server.routes import ROUTES, Listener
from http_server.settings import Out, Settings
from http_server.store_history import all_events
from tests.http import etcd
from tests.http.process import Coordinator, Machine, free_port, fresh_out, run_command, running
from tests.http.test_certificate import p256, request
from tests.http.wait import wait_for

DROPS = int(os.environ.get("KUBESEED_TEST_DROPS", "60"))
FLIPS = int(os.environ.get("KUBESEED_TEST_FLIPS", "50"))
YEAR = 365.25 * 86400
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """A small file system of its own."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "kubeseed-test", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def audited(coordinator: Coordinator) -> None:
    """The audit is whole, as a command beside the coordinator sees it."""
    assert "every one as it was written" in run_command("audit", "verify", str(coordinator.out.root)).stdout


# F1: lost answers


@pytest.mark.parametrize("store", ["sqlite", "etcd"])
def test_a_lost_answer_strands_nobody(tmp_path: Path, store: str) -> None:
    """Connections that break at a random moment of an enrolment: its repeat gets the same answer, one row tells."""
    rng = random.Random(9)
    with running(tmp_path, shared=etcd.fresh_address() if store == "etcd" else None) as coordinator:
        for number in range(DROPS):
            coordinator.out.add_worker(f"x{number}")
        coordinator.out.write_inventory()
        wait_for(lambda: f"x{DROPS - 1}" in coordinator.status()["nodes"], 20)
        machines = [coordinator.machine(f"x{number}") for number in range(DROPS)]
        for machine in machines:
            for _ in range(rng.randint(1, 3)):
                break_off(coordinator, machine, rng.uniform(0, 0.03))
        for machine in machines:
            assert machine.enrol().status_code == 200
            assert machine.get("/v1/backends").status_code == 200
        rows = [row["node"] for row in coordinator.events() if row["action"] == "enrolment-bound"]
        assert sorted(rows) == sorted(machine.name for machine in machines)


def break_off(coordinator: Coordinator, machine: Machine, seconds: float) -> None:
    """Asks for an enrolment and hangs up, whether it was answered or not."""
    body = httpx.Request("POST", "https://x/", data=machine.form()).read()
    head = (
        f"POST /v1/enrol HTTP/1.1\r\nHost: x\r\nAuthorization: {coordinator.out.seal(machine.name)}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", coordinator.port), 20) as plain,
        coordinator.trust.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        secure.sendall(head.encode() + body)
        time.sleep(seconds)
        secure.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# F16: a full disk


@as_root
def test_a_full_file_system_stops_changes_and_nothing_else(tmp_path: Path) -> None:
    out = fresh_out(tmp_path, port := free_port())
    state, kept = out.root / "state", tmp_path / "kept"
    shutil.copytree(state, kept)
    with mounted(state, "size=4m", "mode=0700"):
        shutil.copytree(kept, state, dirs_exist_ok=True)
        coordinator = Coordinator(out, port, free_port())
        coordinator.start()
        try:
            worker = coordinator.machine("w1").enrolled()
            fill(state / "filler")
            refused = [coordinator.machine(name).enrol().status_code for name in ("w2", "m1", "m2", "m3")]
            assert refused[-1] == 503
            assert worker.get("/v1/backends").status_code == 200
            assert coordinator.status()["nodes"]["w1"]["state"] == "bound"
            (state / "filler").unlink()
            assert coordinator.machine("m3").enrol().status_code == 200
            audited(coordinator)
            coordinator.kill()
            coordinator.start()
            assert worker.get("/v1/backends").status_code == 200
        finally:
            coordinator.kill()


def fill(path: Path) -> None:
    """Takes all the room there is."""
    with path.open("wb", buffering=0) as file:
        path.chmod(0o600)
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


@as_root
def test_a_read_only_file_system_is_told_at_start(tmp_path: Path) -> None:
    out = fresh_out(tmp_path, free_port())
    kept = tmp_path / "kept"
    shutil.copytree(out.root / "state", kept)
    with mounted(out.root / "state", "size=8m", "mode=0700"):
        shutil.copytree(kept, out.root / "state", dirs_exist_ok=True)
        subprocess.run(["mount", "-o", "remount,ro", out.root / "state"], check=True)
        done = run_command("serve", str(out.root), "--boot-listen", "127.0.0.1:0")
        assert (done.returncode, "Traceback" in done.stderr) == (3, False)
        assert "Read-only file system" in done.stderr or "readonly" in done.stderr, done.stderr


# F3, F18, F19: bytes that are not what was written


def left_by_a_crash(folder: Path) -> Coordinator:
    """A coordinator that was killed with a write-ahead log full of what it had acknowledged."""
    with running(folder) as coordinator:
        for name in ("m1", "m2", "m3", "w1", "w2"):
            coordinator.machine(name).enrolled()
            coordinator.order(f"/nodes/{name}/revoke")
    (coordinator.out.root / "state" / "admin.sock").unlink()
    return coordinator


def starts(coordinator: Coordinator) -> bool:
    """Whether a coordinator starts here; if so, everything that was acknowledged is there."""
    try:
        with assemble(Settings(Out(coordinator.out.root))) as assembled:
            states = {one.state for one in assembled.context.store.read(lambda view: view.enrolments())}
            assert states == {"revoked"}
            verify(all_events(assembled.context.store))
    except (StartError, StoreUnavailableError):
        return False
    return True


@contextmanager
def copied(coordinator: Coordinator, folder: Path) -> Iterator[Path]:
    """The state as it was after the crash, put back at the end."""
    state = coordinator.out.root / "state"
    yield state
    shutil.rmtree(state)
    shutil.copytree(folder, state)


def test_flipped_bits_are_refused_or_harmless(tmp_path: Path) -> None:
    """Either the start is refused, or every acknowledged word is there and the chain holds: never a third thing."""
    coordinator, rng = left_by_a_crash(tmp_path), random.Random(5)
    kept = tmp_path / "kept"
    shutil.copytree(coordinator.out.root / "state", kept)
    refused = 0
    for turn in range(FLIPS):
        with copied(coordinator, kept) as state:
            path = state / ("coordinator.db" if turn % 2 else "coordinator.db-wal")
            data = bytearray(path.read_bytes())
            for _ in range(rng.choice((1, 8, 64))):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(data)
            refused += not starts(coordinator)
    assert refused >= FLIPS // 5
    assert starts(coordinator)


def test_a_truncated_or_missing_log_is_refused(tmp_path: Path) -> None:
    """SQLite goes back to what is whole, without a word; the remembered head of the audit knows better."""
    coordinator, rng = left_by_a_crash(tmp_path), random.Random(6)
    kept = tmp_path / "kept"
    shutil.copytree(coordinator.out.root / "state", kept)
    for turn in range(12):
        with copied(coordinator, kept) as state:
            log = state / "coordinator.db-wal"
            data = log.read_bytes()
            log.write_bytes(data[: rng.randrange(len(data) - 4096)] if turn else b"")
            assert not starts(coordinator)
    assert starts(coordinator)


def test_yesterdays_copy_put_back_does_not_revive_a_seed(tmp_path: Path) -> None:
    with running(tmp_path) as coordinator:
        coordinator.kill()
        (coordinator.out.root / "state" / "admin.sock").unlink()
        kept = tmp_path / "kept"
        shutil.copytree(coordinator.out.root / "state", kept)
        coordinator.start()
        coordinator.machine("w1").enrolled()
        coordinator.kill()
        for path in kept.glob("coordinator.db*"):
            shutil.copy(path, coordinator.out.root / "state" / path.name)
        done = run_command("serve", str(coordinator.out.root), "--boot-listen", "127.0.0.1:0")
        assert (done.returncode, "an old copy of the store was put back" in done.stderr) == (3, True)
        copy = tmp_path / "copy.db"
        shutil.copy(kept / "coordinator.db", copy)
        assert run_command("restore-store", str(coordinator.out.root), str(copy)).returncode == 0
        coordinator.start()
        assert coordinator.machine("w1").enrol().status_code == 401
        assert coordinator.order("/nodes/w1/rearm").status_code == 200
        assert coordinator.machine("w1").enrol().status_code == 200


# F15, F30: the coordinator's clock


def issued(settings: Settings, now: float, machine: Machine) -> x509.Certificate:
    """The certificate that a coordinator whose clock says `now` gives to an enrolled machine."""
    with assemble(settings, lambda: now) as assembled:
        app = build_app(assembled.context, Listener.TLS, ROUTES, Traffic(Rate((1e9, 1e9))))
        answer = asyncio.run(certified(app, machine))
        assert answer.status_code == 200, answer.text
        return x509.load_pem_x509_certificate(answer.content)


async def certified(app: ASGIApp, machine: Machine) -> httpx.Response:
    headers = {"Authorization": machine.header, "Content-Type": "application/pkcs10"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers=headers) as client:
        return await client.post("/v1/certificates/kubelet-serving", content=request(p256()))


@pytest.mark.parametrize("years", [-50, -1, 9])
def test_a_clock_that_jumps_revives_nothing_and_harms_no_certificate(coordinator: Coordinator, years: int) -> None:
    """After the jump, and after the clock was put right again, certificates are valid at the true time."""
    worker = coordinator.machine("w1").enrolled()
    coordinator.kill()
    settings, true = Settings(Out(coordinator.out.root)), time.time()
    jumped = issued(settings, true + years * YEAR, worker)
    righted = issued(settings, true + 60, worker)
    for found in (righted, *((jumped,) if years < 0 else ())):
        assert found.not_valid_before_utc.timestamp() <= true + 60
        assert found.not_valid_after_utc.timestamp() > true + 300 * 86400
    with assemble(settings, lambda: true + 120) as assembled:
        times = [row.at for row in all_events(assembled.context.store)]
        assert times == sorted(times)
        assert assembled.context.clock.now() >= times[-1]


def test_a_root_that_is_over_is_told(coordinator: Coordinator) -> None:
    coordinator.kill()
    with (
        pytest.raises(StartError, match="has expired"),
        assemble(Settings(Out(coordinator.out.root)), lambda: time.time() + 11 * YEAR),
    ):
        pass


def test_a_node_asks_for_a_new_certificate_as_often_as_it_needs_one(coordinator: Coordinator) -> None:
    """F25, renewal: the credential decides, also long after the bootstrap; revoked, it gets none."""
    worker = coordinator.machine("w1").enrolled()
    assert worker.report("scrub", "done").status_code == 200
    assert coordinator.status()["nodes"]["w1"]["state"] == "closed"
    serials = set()
    for _ in range(2):
        answer = worker.post("/v1/certificates/kubelet-serving", pem=request(p256()))
        serials.add(x509.load_pem_x509_certificate(answer.content).serial_number)
    assert len(serials) == 2
    assert coordinator.order("/nodes/w1/revoke").status_code == 200
    assert worker.post("/v1/certificates/kubelet-serving", pem=request(p256())).status_code == 401
