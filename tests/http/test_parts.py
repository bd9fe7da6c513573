"""The small parts on their own: inventory, clock, rates, bell, certificates of the coordinator, listeners."""

import asyncio
import copy
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from http_server.archive import Member, PackedMembers, pack, pack_one
from http_server.bell import Bell
from http_server.clock import HighWaterClock
from http_server.errors import StartError
from http_server.identity import Identity, ServerTls, server_profile
from http_server.inventory import InventoryError, parse_inventory
from http_server.limit import MOST_KEYS, Rate
from http_server.metrics import make_shared
from http_server.pki import Authority, AuthorityError, load_authority
from http_server.secret import Secret
from http_server.settings import EtcdAddress, Listen, parse_listen, parse_store
from tests.http.outfolder import make_root
from tests.http.process import Coordinator, template, unpack

DAY = 86400.0


@pytest.fixture
def inventory() -> dict[str, Any]:
    return copy.deepcopy(template("certificate").inventory)


def test_the_inventory_of_the_contract_is_read(inventory: dict[str, Any]) -> None:
    read = parse_inventory(json.dumps(inventory).encode())
    assert (read.firstMaster, read.nodes["m1"].master, read.nodes["w1"].master) == ("m1", True, False)
    assert read.hosts == ("127.0.0.1",)


def put(path: str, value: Any) -> Any:
    def change(tree: Any) -> None:
        *parents, last = path.split("/")
        for step in parents:
            tree = tree[int(step) if step.isdigit() else step]
        tree[int(last) if last.isdigit() else last] = value

    return change


KIND = "nodes/w1/certificates/kubelet-serving"
WRONG = [
    ("format", 2), ("surprise", 1), ("cluster", "Prod"), ("urls", []), ("urls/0", "http://10.0.0.1:8443"),
    ("urls/0", "https://u:p@10.0.0.1"), ("firstMaster", "w1"), ("firstMaster", "m9"), ("join", "magic"), ("caDays", 0),
    ("caDays", "36500"), ("encryption", "rot13"), ("apiServers/0", "10.0.0.1"), ("endpoint", "10.0.0.1:6443"),
    ("filesets/cluster/0/path", "../../secrets/root.key"), ("filesets/cluster/0/path", "/etc/passwd"),
    ("filesets/cluster/0/path", "a/../b"), ("filesets/cluster/0/path", "a//b"), ("filesets/cluster/0/path", "a\nb"),
    ("filesets/cluster/0/path", "a/./b"), ("filesets/cluster/0/mode", "4755"), ("filesets/cluster/0/sha256", "0"),
    ("nodes/w1/filesets/0", "no-such"), ("nodes/w1/filesets/0", "../x"),
    ("nodes/w1/address", "10.0.0.999"), ("nodes/w1/macs/0", "52-54-00"), ("nodes/w1/generation", 0),
    ("nodes/w1/generation", True), ("nodes/w1/roles", ["king"]), ("nodes/w1/roles", []), ("nodes/w1/enrolId", "x"),
    ("nodes/w1/secretDigest", "abc"), ("nodes/w1/surprise", 1), (f"{KIND}/authority", "root"),
    (f"{KIND}/commonName", ""), (f"{KIND}/commonName", "a" * 65), (f"{KIND}/commonName", "x,O=system:masters"),
    (f"{KIND}/usages", []), (f"{KIND}/usages", ["codeSigning"]), (f"{KIND}/sans/0", "URI:spiffe://x"),
    (f"{KIND}/sans/0", "IP:host"), (f"{KIND}/sans/0", "DNS:a b"), (f"{KIND}/days", 0), (f"{KIND}/ca", True),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_a_wrong_inventory_is_refused(inventory: dict[str, Any], path: str, value: Any) -> None:
    put(path, value)(inventory)
    with pytest.raises(InventoryError):
        parse_inventory(json.dumps(inventory).encode())


def test_two_nodes_with_one_enrolment_are_refused(inventory: dict[str, Any]) -> None:
    inventory["nodes"]["w1"]["enrolId"] = inventory["nodes"]["w2"]["enrolId"]
    with pytest.raises(InventoryError, match="share an enrolId"):
        parse_inventory(json.dumps(inventory).encode())


def test_time_never_runs_backwards() -> None:
    now = [100.0]
    clock = HighWaterClock(mark=50.0, source=lambda: now[0])
    assert clock.now() == 100.0
    now[0] = 10.0
    assert clock.now() == 100.0
    clock.raise_to(500.0)
    assert (clock.now(), clock.since()) == (500.0, 10.0)
    now[0] = 600.0
    assert (clock.now(), clock.since()) == (600.0, 600.0)


def test_a_rate_lets_a_burst_pass_and_then_so_many_a_second() -> None:
    now = [0.0]
    rate = Rate((2.0, 3.0), lambda: now[0])
    assert [bool(rate.take("a")) for _ in range(4)] == [False, False, False, True]
    assert rate.take("a") == pytest.approx(0.5)
    assert not rate.take("b")
    now[0] = 0.5
    assert [bool(rate.take("a")) for _ in range(2)] == [False, True]


def test_a_rate_forgets_and_does_not_grow() -> None:
    rate = Rate((1.0, 1.0), lambda: 0.0)
    for number in range(MOST_KEYS * 2):
        rate.take(str(number))
    assert len(rate._buckets) == MOST_KEYS


def test_a_ring_between_looking_and_waiting_is_heard() -> None:
    async def scene() -> float:
        bell = Bell()
        bell.hang()
        ring = bell.listen()
        threading.Thread(target=bell.ring).start()
        await asyncio.sleep(0.05)
        started = time.monotonic()
        await bell.wait(ring, 5)
        return time.monotonic() - started

    assert asyncio.run(scene()) < 1


def root_of(name: str = "root") -> Authority:
    certificate, key = make_root(name)
    return load_authority(certificate, Secret(key))


def served(tls: ServerTls) -> x509.Certificate:
    """The certificate that a new connection sees."""
    left, right = socket.socketpair()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    found: list[bytes | None] = []

    def connect() -> None:
        with client.wrap_socket(left) as secure:
            found.append(secure.getpeercert(binary_form=True))

    thread = threading.Thread(target=connect)
    thread.start()
    with tls.context.wrap_socket(right, server_side=True):
        thread.join()
    assert found[0]
    return x509.load_der_x509_certificate(found[0])


def test_the_servers_certificate_is_renewed_at_half_its_life_in_the_living_context() -> None:
    now, made = [time.time()], list[Identity]()
    tls = ServerTls(root_of(), HighWaterClock(source=lambda: now[0]), made.append)
    tls.keep(("127.0.0.1", "boot.example"))
    first = served(tls)
    names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["boot.example"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert (first.not_valid_after_utc - first.not_valid_before_utc).days == 30
    now[0] += 14 * DAY
    tls.keep(("127.0.0.1", "boot.example"))
    assert served(tls) == first
    now[0] += 2 * DAY
    tls.keep(("127.0.0.1", "boot.example"))
    assert served(tls) != first
    assert [identity.serial for identity in made] == [first.serial_number, served(tls).serial_number]


def test_packed_members_are_made_once_and_do_not_grow() -> None:
    packed, made = PackedMembers(4000), []

    def get(name: str, size: int = 100) -> bytes:
        def make() -> Member:
            made.append(name)
            return Member(name, bytes(size))

        return packed.get((name,), make)

    assert get("a") == get("a") == pack_one(Member("a", bytes(100)))
    for name in ("b", "c", "a", "d"):
        get(name)
    assert made == ["a", "b", "c", "d"]  # three of 1 KiB are kept
    get("a")
    get("b")
    assert made == ["a", "b", "c", "d", "b"]
    get("large", 5000)
    get("large", 5000)
    assert made[5:] == ["large", "large"]


def test_where_workers_count_is_private_and_whole(tmp_path: Path) -> None:
    """As large as they will ever be, so that a disk that is full later kills nobody who counts (SIGBUS)."""
    for count in (3, 2):
        make_shared(tmp_path / "metrics", count)
        files = [file.stat() for file in (tmp_path / "metrics").iterdir()]
        assert len(files) == 3 * count
        assert all(file.st_size > 2**18 and file.st_mode & 0o077 == 0 for file in files)
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="cannot be written"):
        make_shared(tmp_path / "file" / "metrics", 2)


def test_an_archive_is_what_tar_reads() -> None:
    members = [Member(f"d/{size}", os.urandom(size), 0o600) for size in (0, 1, 511, 512, 513, 9000, 10240)]
    assert unpack(pack(members)) == {member.path: member.data for member in members}
    listed = subprocess.run(["tar", "-tv"], input=pack(members), capture_output=True, check=True).stdout.decode()
    assert listed.count("-rw------- 0/0") == len(members)


def test_an_expired_root_is_told() -> None:
    far = time.time() + 4000 * DAY
    with pytest.raises(StartError, match="has expired"):
        ServerTls(root_of(), HighWaterClock(source=lambda: far), lambda _: None).keep(("127.0.0.1",))


def test_a_certificate_and_a_key_that_do_not_belong_together() -> None:
    certificate, key = make_root("one")
    for wrong in (make_root("two")[1], b"nonsense", b""):
        with pytest.raises(AuthorityError):
            load_authority(certificate, Secret(wrong))
    with pytest.raises(AuthorityError):
        load_authority(b"nonsense", Secret(key))


def test_an_ipv6_coordinator_is_named_as_an_address() -> None:
    assert server_profile(("fd00::1", "a.example")).sans == ("IP:fd00::1", "DNS:a.example")


@pytest.mark.parametrize(
    ("text", "listen"),
    [("0.0.0.0:8443", Listen("0.0.0.0", 8443)), (":80", Listen("0.0.0.0", 80)), ("[::1]:8443", Listen("::1", 8443))],
)
def test_listeners_addresses(text: str, listen: Listen) -> None:
    assert parse_listen(text) == listen


@pytest.mark.parametrize("text", ["8443", "host", "host:", "host:x", "::1:80", "host:65536", "host:-1"])
def test_no_listeners_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="write HOST:PORT"):
        parse_listen(text)


STRANGER = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sock = socket.socket(socket.AF_UNIX)
sock.settimeout(10)
try:
    sock.connect(sys.argv[1])
    sock.sendall(b"GET /status HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    print("answer", len(sock.recv(100)))
except OSError as error:
    print(type(error).__name__)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_has_no_way_to_the_operators_socket(coordinator: Coordinator, tmp_path: Path) -> None:
    path = coordinator.out.root / "state" / "admin.sock"

    def ask() -> str:
        words = [sys.executable, "-c", STRANGER, str(path)]
        return subprocess.run(words, capture_output=True, text=True, check=False, cwd="/").stdout.strip()

    assert ask() == "PermissionError"
    for folder in (path, *path.parents):
        if folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o777 if folder == path else folder.stat().st_mode | 0o055)
    assert ask() in {"answer 0", "ConnectionResetError", "BrokenPipeError"}
    assert coordinator.status()["cluster"] == "prod"


@pytest.mark.parametrize(
    ("text", "endpoints", "prefix"),
    [
        ("etcd:https://a:2379", ("https://a:2379",), ""),
        ("etcd:https://10.0.0.1:2379,https://[fd00::1]:2379/", ("https://10.0.0.1:2379", "https://[fd00::1]:2379"), ""),
        ("etcd:https://a:2379,https://b:2379/site/prod", ("https://a:2379", "https://b:2379"), "/site/prod"),
    ],
)
def test_a_shared_stores_address(text: str, endpoints: tuple[str, ...], prefix: str) -> None:
    assert parse_store(text) == EtcdAddress(endpoints, prefix)


@pytest.mark.parametrize(
    "text",
    [
        "etcd:http://a:2379", "etcd:a:2379", "etcd:https://a", "etcd:", "sqlite:", "etcd:https://u:p@a:2379",
        "etcd:https://a:2379/../x y", "etcd:https://a:2379;https://b:2379", "redis:x", "",
    ],
)  # fmt: skip
def test_what_is_no_store_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="write sqlite:PATH or etcd:https://HOST:PORT"):
        parse_store(text)
