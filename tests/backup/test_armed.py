"""A restore that the operator arms: every member does it by itself, once, and only what is whole is armed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from http_server.order import VALID_SECONDS, Order
from tests.backup.site import kubeseed
from tests.backup.wing import Wing, count, write_later

pytestmark = pytest.mark.judge


def test_every_member_restores_once(wing: Wing) -> None:
    name = wing.backup()
    write_later(wing.cluster)
    for member in wing.cluster.members[:2]:
        member.stop()
    armed = kubeseed("restore", wing.out, "--from", "newest")
    assert armed.returncode == 0, armed.stderr
    assert wing.machines["m1"].get("/v1/restore").text.startswith(f"backup={name}\n")

    shown = kubeseed("status", wing.out).stdout
    assert f"restore of {name}, armed 0 min ago: done by none, waiting for m1, m2, m3\n" in shown

    outcomes = wing.tick()
    assert [outcome.code for outcome in outcomes] == [0, 0, 0], [outcome.output for outcome in outcomes]
    member = wing.cluster.members[0]
    assert (count(wing.cluster, "key-"), count(wing.cluster, "later-")) == (300, 0)
    assert sorted(wing.armed()["done"]) == ["m1", "m2", "m3"]  # type: ignore[call-overload]
    assert (
        f"done by all. Take the order back: kubeseed restore {wing.out} --disarm\n"
        in kubeseed("status", wing.out).stdout
    )

    member.etcdctl("put", "later", "1")
    assert wing.machines["m1"].get("/v1/restore").status_code == 404
    wing.tick()
    assert member.etcdctl("get", "later", "--print-value-only") == "1\n"
    told = [(row["action"], row["node"]) for row in wing.coordinator.events() if row["action"].startswith("restore-")]
    assert ("restore-armed", "") in told
    assert {("restore-done", name) for name in ("m1", "m2", "m3")} <= set(told)


def test_a_living_cluster_that_is_newer_refuses_and_says_so(wing: Wing) -> None:
    wing.backup()
    write_later(wing.cluster)
    kubeseed("restore", wing.out, "--from", "newest")
    assert [outcome.code for outcome in wing.tick()] == [1, 1, 1]
    stage = wing.coordinator.status()["nodes"]["m1"]["stages"]["backup"]
    assert stage["state"] == "failed"
    assert "restore refused: etcd is alive, at revision" in stage["log"]
    assert wing.armed()["done"] == []

    assert kubeseed("restore", wing.out, "--disarm").stdout == "disarmed\n"
    outcomes = wing.tick()
    assert [outcome.code for outcome in outcomes] == [0, 0, 0], [outcome.output for outcome in outcomes]


def test_an_encrypted_backup_needs_its_content_key(wing: Wing, folder: Path) -> None:
    pair = ["-keyout", str(folder / "backup.key"), "-out", str(folder / "backup.crt")]
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=backup", *pair]
    subprocess.run(request, check=True, capture_output=True)
    for node in wing.nodes:
        shutil.copy(folder / "backup.crt", node.root / "etc/kubeseed/backup.crt")
    name = wing.backup()
    without = kubeseed("restore", wing.out, "--from", name)
    assert without.returncode == 3
    assert "its content key is wanted" in without.stderr

    sealed, opened = folder / "fetched" / name / "key.cms", folder / "content.key"
    kubeseed("backup", "fetch", wing.out, name, "--to", str(folder / "fetched"))
    cms = ["openssl", "cms", "-decrypt", "-inform", "DER", "-in", str(sealed), "-inkey", str(folder / "backup.key")]
    subprocess.run([*cms, "-out", str(opened)], check=True, capture_output=True)
    (folder / "other.key").write_text("0" * 64 + "\n")
    wrong = kubeseed("restore", wing.out, "--from", name, "--force", "--content-key", str(folder / "other.key"))
    assert (wrong.returncode, wing.coordinator.status()["restore"]) == (3, None)
    assert f"other.key does not open {name}" in wrong.stderr
    armed = kubeseed("restore", wing.out, "--from", name, "--force", "--content-key", str(opened))
    assert armed.returncode == 0, armed.stderr
    secret = opened.read_text().strip()
    assert secret not in (wing.coordinator.out.root / "state" / "restore.json").read_text()
    assert secret not in wing.coordinator.log
    write_later(wing.cluster)
    assert wing.machines["m1"].get("/v1/restore/config.tar.gz.enc").status_code == 404
    assert wing.machines["m1"].get("/v1/restore/snapshot.db.enc").status_code == 200

    outcomes = wing.tick()
    assert [outcome.code for outcome in outcomes] == [0, 0, 0], [outcome.output for outcome in outcomes]
    assert not any((node.copies / ".armed").exists() for node in wing.nodes)
    assert (count(wing.cluster, "key-"), count(wing.cluster, "later-")) == (300, 0)
    for node in wing.nodes:
        left = [path for path in node.root.glob("run/**/*") if path.is_file() and secret in path.read_text("latin-1")]
        assert left == [], "no key stays behind"


def test_what_is_not_there_or_not_whole_is_not_armed(wing: Wing) -> None:
    assert "there is no backup yet" in kubeseed("restore", wing.out, "--from", "newest").stderr
    assert (
        "there is no backup 20200101T000000Z-m1"
        in kubeseed("restore", wing.out, "--from", "20200101T000000Z-m1").stderr
    )
    assert kubeseed("restore", wing.out).returncode == 2
    name = wing.backup()
    snapshot = Path(wing.out) / "state" / "backups" / "copies" / name / "snapshot.db"
    snapshot.write_bytes(snapshot.read_bytes()[:-1])
    told = kubeseed("restore", wing.out, "--from", name)
    assert told.returncode == 3
    assert "its manifest says" in told.stderr
    assert wing.coordinator.status()["restore"] is None


def test_an_order_is_void_after_a_day_and_for_those_who_did_it() -> None:
    order = Order(
        backup="20300101T000000Z-m1", attempt=1, force=False, members="", sealedKey="", epoch=1, at=1000.0, done=("m1",)
    )  # fmt: skip
    assert order.open_for("m2", 1000.0)
    assert not order.open_for("m1", 1000.0)
    assert not order.open_for("m2", 999.0)
    assert not order.open_for("m2", 1000.0 + VALID_SECONDS)
    blank = order.model_copy(update={"reinstalled": True})
    assert blank.open_for("m2", 1000.0 + VALID_SECONDS)
    assert not blank.open_for("m1", 1000.0)
