"""Limits: slow, large, many and malformed requests cost their sender, and nobody else."""

import base64
import contextlib
import re
import resource
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from http_server.pki import RequestError, parse_request
from tests.http.process import Coordinator, Machine
from tests.http.test_certificate import p256, request

HEAD_SECONDS = 10.0
IDLE = 10_000
PATIENT = 20.0  # a machine that is busy with other tests needs some of it


@pytest.fixture(scope="module")
def worker(shared: Coordinator) -> Machine:
    return shared.machine("w1").enrolled()


@contextmanager
def connected(coordinator: Coordinator) -> Iterator[ssl.SSLSocket]:
    plain = socket.create_connection(("127.0.0.1", coordinator.port), 30)
    with coordinator.trust.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
        yield secure


def first_line(data: bytes) -> bytes:
    return data.partition(b"\r\n")[0]


def test_a_head_that_never_ends_is_cut_off(shared: Coordinator) -> None:
    with connected(shared) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\n")
        started = time.monotonic()
        with contextlib.suppress(OSError):
            for _ in range(60):
                sock.sendall(b"X-Slow: 1\r\n")
                time.sleep(0.5)
        assert HEAD_SECONDS - 2 < time.monotonic() - started < HEAD_SECONDS + 10


def test_a_silent_connection_is_cut_off(shared: Coordinator) -> None:
    with connected(shared) as sock:
        started = time.monotonic()
        assert sock.recv(1) == b""
        assert time.monotonic() - started < HEAD_SECONDS + 10


def test_a_body_that_never_ends_is_cut_off(shared: Coordinator, worker: Machine) -> None:
    head = f"POST /v1/reports HTTP/1.1\r\nHost: x\r\nAuthorization: {worker.header}\r\nContent-Length: 100\r\n\r\n"
    with connected(shared) as sock:
        sock.sendall(head.encode() + b"stage=")
        started = time.monotonic()
        assert first_line(sock.recv(4096)).startswith(b"HTTP/1.1 400")
        assert time.monotonic() - started < HEAD_SECONDS + 10


def test_a_client_that_sends_no_small_packets_in_a_row_does_not_wait(shared: Coordinator) -> None:
    """Nagle's algorithm, as in curl before 7.50.2: the request leaves once the handshake's last packet is acknowledged,
    for which a server that had nothing to say would take 40 ms (TCP_DELACK_MIN), every time.
    """
    taken = []
    for _ in range(20):
        with connected(shared) as sock:
            started = time.monotonic()
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert first_line(sock.recv(4096)).startswith(b"HTTP/1.1 200")
            taken.append(time.monotonic() - started)
    assert min(taken) < 0.03, taken


def test_slow_connections_hold_nobody_up(shared: Coordinator, worker: Machine) -> None:
    socks = [socket.create_connection(("127.0.0.1", shared.port)) for _ in range(200)]
    try:
        started = time.monotonic()
        assert worker.get("/v1/backends").status_code == 200
        assert time.monotonic() - started < 5
    finally:
        for sock in socks:
            sock.close()


@pytest.fixture
def many_files() -> Iterator[None]:
    """Room for ten thousand sockets in this process; the coordinator makes room for itself."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < IDLE + 1000:
        pytest.skip(f"the system allows {before[1]} open files, {IDLE + 1000} are needed: ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.bench
@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("door", ["tls", "plain"])
def test_ten_thousand_idle_connections_hold_nobody_up(coordinator: Coordinator, door: str) -> None:
    """From many addresses, as a botnet or a broken monitor has them: silent, and never closed by their side."""
    machine = coordinator.machine("w1").enrolled()
    port = coordinator.port if door == "tls" else coordinator.boot_port
    with contextlib.ExitStack() as stack:
        for number in range(IDLE):
            source = (f"127.2.{number // 1000}.{number % 200 + 1}", 0)
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 60, source))
        started = time.monotonic()
        assert machine.get("/v1/backends").status_code == 200
        with coordinator.boot() as client:
            assert client.get("/healthz", timeout=60).status_code == 200
        assert time.monotonic() - started < PATIENT
        resident = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{coordinator.pid}/status").read_text())[1])  # type: ignore[index]  # it is always there
        assert resident < 1_200_000, "KiB: what waits must not cost much memory"


@pytest.mark.parametrize(
    ("version", "ciphers", "taken"),
    [
        (ssl.TLSVersion.TLSv1_3, "ALL", True),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256", True),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-CHACHA20-POLY1305", True),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0", False),
        (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256:@SECLEVEL=0", False),
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0", False),
    ],
)
def test_tls_is_1_3_or_a_sane_1_2(shared: Coordinator, version: ssl.TLSVersion, ciphers: str, taken: bool) -> None:
    """RFC 9325: forward secrecy and authenticated encryption, nothing else."""
    trust = shared.trust
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.1 is old, which is the point
        trust.set_ciphers(ciphers)
        trust.minimum_version = trust.maximum_version = version
    with socket.create_connection(("127.0.0.1", shared.port), 30) as plain:
        if not taken:
            with pytest.raises(ssl.SSLError):
                trust.wrap_socket(plain, server_hostname="127.0.0.1")
            return
        with trust.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
            assert secure.version() in {"TLSv1.2", "TLSv1.3"}


def test_refusals_spread_their_return(coordinator: Coordinator) -> None:
    """Who was refused at the same moment must not come back at the same moment."""
    machine = coordinator.machine("w1")
    told = {machine.enrol().headers.get("retry-after") for _ in range(45)} - {None}
    assert len(told) > 1, told


@pytest.mark.parametrize("declared", [True, False])
def test_large_bodies_are_refused(shared: Coordinator, worker: Machine, declared: bool) -> None:
    content: bytes | Iterator[bytes] = b"x" * 20_000 if declared else iter([b"x" * 1000] * 20)
    headers = {"Authorization": worker.header, "Content-Type": "application/pkcs10"}
    with shared.anybody() as client:
        answer = client.post("/v1/certificates/kubelet-serving", content=content, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (413, "too-large")


def test_large_heads_are_refused(shared: Coordinator) -> None:
    with shared.anybody() as client:
        assert client.get("/healthz", headers={"X": "y" * 20_000}).status_code == 400


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
def test_other_types_of_body_are_refused(shared: Coordinator, worker: Machine, media_type: str) -> None:
    headers = {"Authorization": worker.header, "Content-Type": media_type}
    with shared.anybody() as client:
        assert client.post("/v1/reports", content=b'{"stage": "base"}', headers=headers).status_code == 415


MALFORMED = {
    b"\xff\xfe": 400,
    b"stage": 400,
    b"stage=base&state=done&stage=base": 400,
    b"stage=base&state=done&surprise=1": 400,
    b"&".join(b"log=x" for _ in range(100)): 400,
    b"state=done": 400,
    b"": 400,
    b"stage=%00&state=done": 422,
    b"stage=base&state=done&seconds=nan": 422,
    b"stage=base&state=done&attempt=99999999999999": 422,
}


@pytest.mark.parametrize(("body", "status"), MALFORMED.items())
def test_malformed_forms_are_refused(shared: Coordinator, worker: Machine, body: bytes, status: int) -> None:
    headers = {"Authorization": worker.header, "Content-Type": "application/x-www-form-urlencoded"}
    with shared.anybody() as client:
        answer = client.post("/v1/reports", content=body, headers=headers)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "message", "request"}


@pytest.mark.parametrize(
    "begin",
    [
        b"GET /healthz HTTP/1.1\r\nX: ",
        b"GET /",
        b"POST /boot/report HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
    ],
)
def test_a_piece_that_never_ends_is_not_kept(shared: Coordinator, begin: bytes) -> None:
    """A header, a target and a trailer: the parser hands none of them over before its end."""
    sent, most = 0, 64 * 2**20
    with socket.create_connection(("127.0.0.1", shared.boot_port), 30) as sock:
        sock.sendall(begin)
        with contextlib.suppress(OSError):
            while sent < most:
                sent += sock.send(b"x" * 65536)
    assert sent < most


RAW = [
    b"GARBAGE\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/enrol HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /v1/enrol HTTP/1.1\r\nHost: x\r\nContent-Length: nonsense\r\n\r\n",
    b"GET http://169.254.169.254/latest HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"\x16\x03\x01\x00\x00",
]


@pytest.mark.parametrize("data", RAW)
def test_nonsense_breaks_nothing(shared: Coordinator, data: bytes) -> None:
    with connected(shared) as sock:
        sock.sendall(data)
        sock.settimeout(HEAD_SECONDS + 10)
        answer = sock.recv(4096)
        assert b" 500 " not in first_line(answer)
    with shared.anybody() as client:
        assert client.get("/healthz").status_code == 200
    assert "failed" not in shared.log


def test_a_seed_that_asks_too_often_is_slowed_down_and_others_are_not(coordinator: Coordinator) -> None:
    machine = coordinator.machine("w1")
    statuses = [machine.enrol().status_code for _ in range(30)]
    assert statuses[:20] == [200] * 20
    assert statuses[-1] == 429
    refused = machine.enrol()
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert coordinator.machine("w2").enrol().status_code == 200


def test_wrong_secrets_leave_few_rows(coordinator: Coordinator) -> None:
    with coordinator.anybody(Authorization=f"Node w1:{'0' * 64}") as client:
        assert {client.get("/v1/files").status_code for _ in range(50)} == {401}
    assert sum(row["action"] == "denied" for row in coordinator.events()) == 1


def test_many_at_once_all_get_their_answer(coordinator: Coordinator) -> None:
    """Sixty nodes at once with retries, as the node scripts do: nobody is stranded, nobody is bound twice."""
    for number in range(60):
        coordinator.out.add_worker(f"n{number}")
    coordinator.kill()
    coordinator.out.write_inventory()
    coordinator.start()
    machines = [coordinator.machine(f"n{number}") for number in range(60)]
    failed: list[str] = []

    def boot(machine: Machine) -> None:
        for _ in range(20):
            with contextlib.suppress(httpx.TransportError):
                if machine.enrol().status_code == 200 and machine.report("base", "done").status_code == 200:
                    return
            time.sleep(0.2)
        failed.append(machine.name)

    threads = [threading.Thread(target=boot, args=(machine,)) for machine in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failed == []
    bound = [row["node"] for row in coordinator.events() if row["action"] == "enrolment-bound"]
    assert sorted(bound) == sorted(machine.name for machine in machines)


GOOD = request(p256())


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_bytes_crash_the_reader_of_requests(data: st.DataObject) -> None:
    good = bytearray(GOOD)
    for _ in range(data.draw(st.integers(0, 8))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RequestError):
        parse_request(bytes(good))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.binary(min_size=1, max_size=4), st.integers(0, 300))
def test_no_der_crashes_it_either(noise: bytes, patch: bytes, at: int) -> None:
    der = bytearray(x509.load_pem_x509_csr(GOOD).public_bytes(Encoding.DER))
    at %= len(der)
    der[at : at + len(patch)] = patch
    for candidate in (bytes(der), noise):
        body = base64.encodebytes(candidate).decode()
        with contextlib.suppress(RequestError):
            parse_request(f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n".encode())
