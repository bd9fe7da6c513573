"""A copy counts when it was read back where it was sent: by the coordinator, or through the site's own program."""

import hashlib
import http.client
import itertools
import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from http_server.backups import Backup, thinned
from http_server.manifest import parse_manifest
from tests.backup.conftest import free_network
from tests.backup.etcd import running
from tests.backup.node import Node
from tests.backup.site import Site, authority_of, enrol, kubeseed
from tests.http.process import running as coordinating
from tests.http.wait import wait_for

pytestmark = pytest.mark.judge

HOUR, DAY = 3600, 86400
START = 1_700_000_000
# Every node of this module is m1, and a backup's id is its second and its node: no two of them may share a second.
SECONDS = itertools.count(1)


@pytest.fixture(scope="module")
def site(module_folder: Path, programs: Path) -> Iterator[Site]:
    with coordinating(module_folder) as coordinator:
        machine = coordinator.machine("m1").enrolled()
        machine.initialise()
        with running(module_folder / "etcd", free_network(), programs, 1, authority_of(machine)) as cluster:
            cluster.put_many(0, 300)
            yield Site(coordinator, cluster, machine)


@pytest.fixture
def node(site: Site, folder: Path) -> Node:
    """A node that uploads, and of which nothing was ever uploaded."""
    return uploading(site, folder / "node")


@pytest.fixture(scope="module")
def manifest(site: Site, module_folder: Path) -> dict[str, object]:
    """The manifest of a backup that the coordinator holds."""
    node = uploading(site, module_folder / "node")
    node.backup("now")
    found: dict[str, object] = json.loads((node.copies / node.ids()[0] / "manifest.json").read_text())
    return found


def uploading(site: Site, root: Path) -> Node:
    site.cluster.members[0].etcdctl("del", "kubeseed/backup")
    node = Node(root, site.cluster.members[0])
    node.set_clock(int(time.time()) + next(SECONDS))
    upload(node, site)
    enrol(node, site.coordinator, site.machine)
    return node


def upload(node: Node, site: Site, **more: str) -> None:
    node.configure(BACKUP_UPLOAD="coordinator", COORDINATORS=f"https://127.0.0.1:{site.coordinator.port}", **more)


def recorded(site: Site) -> str:
    return site.cluster.members[0].etcdctl("get", "kubeseed/backup", "--print-value-only")


def test_a_copy_arrives_as_it_was_and_then_counts(site: Site, node: Node) -> None:
    assert "is stored elsewhere, too" in node.backup("due")
    name = node.ids()[0]
    arrived = site.stored / "copies" / name
    for path in arrived.iterdir():
        assert path.read_bytes() == (node.copies / name / path.name).read_bytes()
        assert oct(path.stat().st_mode & 0o7777) == "0o600"
    assert sorted(path.name for path in arrived.iterdir()) == [
        "config.tar.gz", "manifest.json", "snapshot.db", "store.sealed",
    ]  # fmt: skip
    carried = hashlib.sha256((arrived / "store.sealed").read_bytes()).hexdigest()
    assert {"sha256": carried} in site.audit("store-copied"), "the coordinator's own store travels with it"
    assert oct(arrived.stat().st_mode & 0o7777) == "0o700"
    assert name in recorded(site)
    digest = hashlib.sha256((arrived / "manifest.json").read_bytes()).hexdigest()
    assert {"id": name, "revision": "4", "sha256": digest} in site.audit("backup-stored")
    assert site.coordinator.status()["nodes"]["m1"]["stages"]["backup"]["state"] == "done"
    assert "stored elsewhere" not in node.backup("due"), "it is not sent again"


def test_while_the_coordinator_is_away_a_copy_does_not_count(site: Site, node: Node) -> None:
    upload(node, site, BACKUP_KEEP_DAYS="1")
    node.set_clock(START)
    site.coordinator.kill()
    try:
        outcome = node.run("backup", "due")
        assert outcome.code == 1
        assert f"copy {node.ids()[0]} is on this node only: the coordinator answered 000" in outcome.output
        assert "warning: the coordinator answered 000: its store is not in this copy" in outcome.output
        assert not (node.copies / node.ids()[0] / "store.sealed").exists()
        assert recorded(site) == ""
        node.run("backup", "due")
        assert len(node.ids()) == 1, "another copy would not help"
        for day in range(1, 5):
            node.set_clock(START + day * DAY)
            node.run("backup", "due")
        assert len(node.ids()) == 3, "old copies go although none could be handed on"
    finally:
        site.coordinator.start()
    assert node.backup("due").count("is stored elsewhere, too") == 3
    assert set(node.ids()) <= set(site.ids())
    assert node.ids()[-1] in recorded(site)


def test_a_wish_is_fulfilled_before_its_hour(site: Site, node: Node) -> None:
    node.set_clock(START + 20 * DAY)
    node.backup("due")
    assert site.coordinator.order("/backups/now").status_code == 200
    (site.stored / "wanted").write_text(f"{START + 20 * DAY + 60}\n")
    node.set_clock(START + 20 * DAY + 120)
    node.backup("due")
    node.set_clock(START + 20 * DAY + 180)
    node.backup("due")
    assert len(node.ids()) == 2


def test_a_copy_of_another_epoch_is_refused_and_told(site: Site, manifest: dict[str, object]) -> None:
    for change in ({"etcdCa": "0" * 64}, {"cluster": "stage"}):
        answer = site.post("/v1/backups", json.dumps(manifest | change).encode(), "application/json")
        assert (answer.status_code, answer.json()["error"]) == (409, "foreign-backup")
    assert site.audit("backup-refused")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"node": "m2", "id": "20300101T000000Z-m2"}, 403),
        ({"node": "m2"}, 422),
        ({"id": "../../etc/passwd"}, 422),
        ({"files": []}, 422),
        ({"files": [{"name": "../x", "bytes": 1, "sha256": "0" * 64}]}, 422),
        ({"revision": 0}, 422),
        ({"totalKey": 0}, 422),
        ({"encryptedTo": "0" * 64}, 422),
        ({"more": 1}, 422),
        ({"snapshotSha256": "x"}, 422),
    ],
    ids=str,
)
def test_a_manifest_that_is_none_is_refused(
    site: Site, manifest: dict[str, object], change: dict[str, object], status: int
) -> None:
    before = site.ids()
    answer = site.post("/v1/backups", json.dumps(manifest | change).encode(), "application/json")
    assert answer.status_code == status
    assert site.ids() == before


def test_the_same_id_with_another_content_is_refused(site: Site, manifest: dict[str, object]) -> None:
    answer = site.post("/v1/backups", json.dumps(manifest | {"hash": 1}).encode(), "application/json")
    assert (answer.status_code, answer.json()["error"]) == (422, "damaged")


def blobs(site: Site) -> set[str]:
    return {path.name for path in (site.stored / "blobs").iterdir()}


def test_content_other_than_announced_is_not_kept(site: Site) -> None:
    before = blobs(site)
    answer = site.post(f"/v1/backups/{'0' * 64}", b"content", "application/octet-stream")
    assert (answer.status_code, answer.json()["error"]) == (422, "damaged")
    assert blobs(site) == before


def test_content_that_is_cut_off_is_not_kept(site: Site) -> None:
    before = blobs(site)

    def half() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise ConnectionAbortedError

    with (
        pytest.raises((ConnectionAbortedError, httpx.TransportError)),
        site.coordinator.anybody(Authorization=site.machine.header) as client,
    ):
        client.post(f"/v1/backups/{'0' * 64}", content=half(), headers={"Content-Type": "application/octet-stream"})
    wait_for(lambda: blobs(site) == before)  # the connection ends before the coordinator has put its work away


@pytest.mark.parametrize(
    ("digest", "media_type", "status"),
    [
        ("0" * 64, "text/plain", 415),
        ("0" * 63, "application/octet-stream", 422),
        ("%2e%2e%2fx", "application/octet-stream", 404),
    ],
)
def test_content_is_of_its_type_and_under_its_digest(site: Site, digest: str, media_type: str, status: int) -> None:
    assert site.post(f"/v1/backups/{digest}", b"content", media_type).status_code == status


def test_content_that_is_too_large_is_refused_before_it_comes(site: Site) -> None:
    connection = http.client.HTTPSConnection("127.0.0.1", site.coordinator.port, context=site.coordinator.trust)
    connection.putrequest("POST", f"/v1/backups/{'0' * 64}")
    connection.putheader("Authorization", site.machine.header)
    connection.putheader("Content-Type", "application/octet-stream")
    connection.putheader("Content-Length", str(17 * 1024**3))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_large_content_does_not_grow_the_coordinator(site: Site) -> None:
    def highest() -> int:
        assert site.coordinator.process
        status = Path(f"/proc/{site.coordinator.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])

    piece = bytes(1 << 20)
    digest = hashlib.sha256(piece * 256).hexdigest()
    before = highest()
    with site.coordinator.anybody(Authorization=site.machine.header) as client:
        pieces = (piece for _ in range(256))
        headers = {"Content-Type": "application/octet-stream"}
        assert client.post(f"/v1/backups/{digest}", content=pieces, headers=headers).status_code == 200
    assert highest() - before < 32 * 1024, "KiB"
    (site.stored / "blobs" / digest).unlink()


STORE = """#!/bin/sh
# What a site would do with rclone, restic or rsync.
case $1 in
store) cp -r "$2" /far/ ;;
read) cat "/far/$2/$3" %s ;;
esac
"""


def with_hook(node: Node, how: str = "") -> None:
    (node.root / "far").mkdir()
    program = node.root / ".local/sbin/off-site"
    program.write_text(STORE % how)
    program.chmod(0o755)
    node.configure(BACKUP_HOOK="/usr/local/sbin/off-site")


def test_a_hook_stores_a_copy_and_gives_it_back(site: Site, node: Node) -> None:
    with_hook(node)
    node.backup("now")
    name = node.ids()[0]
    assert (node.root / "far" / name / "snapshot.db").read_bytes() == (node.copies / name / "snapshot.db").read_bytes()
    assert name in recorded(site)


@pytest.mark.parametrize("how", ["| head -c 1000", "| tr a b", ">/dev/null", "; exit 1"])
def test_what_a_hook_does_not_give_back_as_it_was_does_not_count(site: Site, node: Node, how: str) -> None:
    with_hook(node, how)
    if how == "; exit 1":
        (node.root / ".local/sbin/off-site").write_text("#!/bin/sh\nexit 1\n")
    outcome = node.run("backup", "now")
    assert outcome.code == 1
    assert "is on this node only: /usr/local/sbin/off-site " in outcome.output
    assert recorded(site) == ""


def test_the_operator_lists_shows_verifies_and_fetches(site: Site, node: Node) -> None:
    node.set_clock(START + 40 * DAY)
    node.backup("now")
    name, out = node.ids()[0], str(site.coordinator.out.root)
    listed = json.loads(kubeseed("backup", "list", out, "--json").stdout)
    assert name in [one["id"] for one in listed]
    assert re.search(rf"{name} .* m1 .* 3\.4\.\d+ .* no ", kubeseed("backup", "list", out).stdout)
    assert f'"id": "{name}"' in kubeseed("backup", "show", out, name).stdout
    assert kubeseed("backup", "verify", out, name).stdout == f"{name} is whole\n"

    fetched = kubeseed("backup", "fetch", out, name, "--to", str(node.root / "fetched"))
    assert fetched.returncode == 0, fetched.stderr
    judged = node.run("restore", "--check", f"/fetched/{name}")
    assert judged.code == 0, judged.output
    assert oct((node.root / "fetched" / name / "snapshot.db").stat().st_mode & 0o7777) == "0o600"


def test_the_operator_is_told_of_damage_and_gets_nothing_damaged(site: Site, node: Node) -> None:
    node.set_clock(START + 50 * DAY)
    node.backup("now")
    name, out = node.ids()[0], str(site.coordinator.out.root)
    snapshot = site.stored / "copies" / name / "snapshot.db"
    good = snapshot.read_bytes()
    snapshot.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    for words in (("verify", out, name), ("verify", out), ("fetch", out, name, "--to", str(node.root / "fetched"))):
        told = kubeseed("backup", *words)
        assert told.returncode == 3
        assert "snapshot.db: is damaged, its SHA-256 is not the one of its manifest" in told.stderr
    assert not (node.root / "fetched").exists()
    snapshot.write_bytes(good)


def test_the_operator_asks_for_what_is_not_there(site: Site, folder: Path) -> None:
    out = str(site.coordinator.out.root)
    missing = kubeseed("backup", "show", out, "20200101T000000Z-m1")
    assert missing.returncode == 3
    assert "there is no backup 20200101T000000Z-m1" in missing.stderr
    (folder / "empty").mkdir()
    assert "holds no backup" in kubeseed("backup", "fetch", str(folder / "empty"), "--to", str(folder)).stderr


def backup_of(manifest: dict[str, object], at: int, received: float) -> Backup:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    taken = {**manifest, "id": f"{stamp}-m1", "seconds": at}
    return Backup(Path(stamp), received, parse_manifest(json.dumps(taken).encode()))


def test_what_arrived_is_thinned_and_cannot_be_pushed_out(manifest: dict[str, object]) -> None:
    now = START + 400 * DAY
    daily = [backup_of(manifest, now - day * DAY, now - day * DAY) for day in range(400)]
    kept = thinned(daily)
    assert len(kept) in range(24 + 4, 24 + 4 + 6 + 1), "a copy each of 24 days (as hours), and of weeks and months"
    assert {daily[day].manifest.id for day in range(7)} <= kept
    long = {name for name in kept if name < daily[100].manifest.id}
    assert len(long) >= 2, "months ago"

    long_ago = [backup_of(manifest, now - 100 * DAY + second, now) for second in range(1, 2000)]
    assert kept <= thinned([*daily, *long_ago])
    future = [backup_of(manifest, now + second * DAY, now) for second in range(1, 2000)]
    assert kept <= thinned([*daily, *future])
    hours = [backup_of(manifest, now - 60 - hour * HOUR, now) for hour in range(200)]
    assert {daily[day].manifest.id for day in range(7)} | long <= thinned([*daily, *hours])


def test_status_tells_the_newest_backup_and_when_it_is_too_old(site: Site, node: Node) -> None:
    site.coordinator.out.inventory["backupHours"] = 24
    site.coordinator.out.write_inventory()
    node.backup("now")
    shown = site.coordinator.status()["backup"]
    assert shown["id"] == node.ids()[0]
    assert 0 <= shown["age"] < 600
    with site.coordinator.operator() as client:
        figures = dict(re.findall(r"^kubeseed_backup_(\w+) (\S+)$", client.get("/metrics").text, re.MULTILINE))
    assert (float(figures["bytes"]), float(figures["taken_timestamp_seconds"])) == (shown["bytes"], shown["taken"])
    site.coordinator.out.inventory["backupHours"] = 1
    site.coordinator.out.write_inventory()
    for copy in (site.stored / "copies").iterdir():
        shutil.rmtree(copy)
    end = time.monotonic() + 20
    while not site.coordinator.status()["backup"]["stale"]:
        assert time.monotonic() < end
        time.sleep(0.1)
