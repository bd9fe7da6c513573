"""The boot conversation over real sockets: matching, the latch, reports, strangers, trust, assets."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.process import Coordinator
from tests.pxe.bootable import PARTS, RAW, bootable, digest_of, machine, write_images


@pytest.fixture
def boot(tmp_path: Path) -> Iterator[Coordinator]:
    with bootable(tmp_path, w2="live") as coordinator:
        yield coordinator


def test_a_new_machine_is_installed_once(boot: Coordinator) -> None:
    m1 = machine(boot, 11)
    assert m1.ask() == "m1"
    run = m1.values["run"]
    assert m1.values == {
        "reason": "m1 is new", "run": run, "wipe": "blank",
        "kernel": digest_of("kernel"), "initrd": digest_of("initrd"),
        "image": digest_of("disk"), "digest": RAW, "size": "4096", "format": "zstd",
    }  # fmt: skip
    assert m1.ask() == "m1"
    assert m1.values["run"] == run  # the same offer
    for state in ("started", "failed", "installed"):
        assert m1.report("m1", state, cause="download" if state == "failed" else "").status_code == 200
        assert m1.report("m1", state, cause="download" if state == "failed" else "").status_code == 200
    assert boot.status()["nodes"]["m1"]["boot"]["state"] == "installed"
    assert m1.ask() == "_local"
    assert m1.values == {"reason": "m1 is installed"}
    actions = [row["action"] for row in boot.events() if row["action"].startswith("boot-")]
    assert actions == ["boot-offered", "boot-installing", "boot-failed", "boot-installed"]


def test_the_latch_outlives_a_crash(boot: Coordinator) -> None:
    m1 = machine(boot, 11)
    m1.ask()
    boot.kill()
    boot.start()
    assert m1.report("m1", "started").status_code == 200
    assert m1.report("m1", "installed").status_code == 200
    boot.kill()
    boot.start()
    assert m1.ask() == "_local"


def test_an_operator_orders_one_installation(boot: Coordinator) -> None:
    m1 = machine(boot, 11)
    m1.install("m1")
    node = boot.machine("m1").enrolled()
    assert boot.order("/nodes/m1/reinstall", {"seconds": "60"}).status_code == 200
    assert boot.status()["nodes"]["m1"]["boot"]["state"] == "armed"
    assert node.get("/v1/backends").status_code == 200  # nothing has happened yet
    assert node.report("base", "done").status_code == 200
    assert set(boot.status()["nodes"]["m1"]["stages"]) == {"base"}
    assert m1.ask() == "m1"
    assert m1.values["wipe"] == "any"
    assert m1.report("m1", "started").status_code == 200
    assert node.get("/v1/backends").status_code == 401  # its disk is being overwritten
    assert boot.status()["nodes"]["m1"]["stages"] == {}  # and what was done on it is gone
    assert m1.report("m1", "installed").status_code == 200
    assert m1.ask() == "_local"
    again = boot.machine("m1").enrolled()  # with a new credential
    assert again.report("base", "done").status_code == 200
    assert set(boot.status()["nodes"]["m1"]["stages"]) == {"base"}


def test_an_order_is_dead_after_its_time(boot: Coordinator) -> None:
    m1 = machine(boot, 11)
    m1.install("m1")
    assert boot.order("/nodes/m1/reinstall", {"seconds": "59"}).status_code == 422
    assert boot.order("/nodes/m1/reinstall", {"seconds": "604801"}).status_code == 422
    assert boot.order("/nodes/nobody/reinstall").status_code == 404
    assert boot.order("/nodes/w2/reinstall").status_code == 409


def test_a_machine_that_enrolled_otherwise_is_left_alone(boot: Coordinator) -> None:
    boot.machine("m2").enrolled()
    assert machine(boot, 12).ask() == "_local"


def test_a_revoked_node_is_not_installed(boot: Coordinator) -> None:
    m1 = machine(boot, 11)
    m1.ask()
    assert boot.order("/nodes/m1/revoke").status_code == 200
    assert m1.report("m1", "started").status_code == 409
    assert m1.ask() == "_refused"
    assert boot.status()["nodes"]["m1"]["state"] == "revoked"


def test_only_the_run_itself_reports(boot: Coordinator) -> None:
    m1 = machine(boot, 11)
    m1.ask()
    assert m1.report("m1", "started", run="0" * 32).status_code == 409
    assert m1.report("m2", "started").status_code == 409
    assert m1.report("m1", "started", run="short").status_code == 422
    assert m1.report("m1", "sideways").status_code == 422
    assert m1.report("m1", "failed", cause="anything else").status_code == 422
    m1.install("m1")
    # A report that is played again changes nothing: it cannot take a running node's credential away.
    node = boot.machine("m1").enrolled()
    assert m1.report("m1", "started").status_code == 409
    assert m1.report("m1", "failed", cause="digest").status_code == 409
    assert node.get("/v1/backends").status_code == 200
    assert m1.ask() == "_local"


def test_two_machines_with_one_mac(boot: Coordinator) -> None:
    first, second = machine(boot, 11), machine(boot, 11, uuid=machine(boot, 19).uuid)
    assert first.ask() == "m1"
    assert second.ask() == "_refused"
    assert second.values["reason"] == "another machine was installed as m1"
    first.install("m1")
    assert second.ask() == "_local"  # never touches a disk
    alarms = [row for row in boot.events() if row["outcome"] == "alarm"]
    assert [row["action"] for row in alarms] == ["boot-conflict"]
    assert alarms[0]["detail"]["product_uuid"] == second.uuid
    assert [seen["productUuid"] for seen in boot.status()["strangers"]] == [second.uuid]


def test_a_cloned_product_uuid(tmp_path: Path) -> None:
    with bootable(tmp_path) as boot:
        boot.out.node("m1")["productUuid"] = machine(boot, 11).uuid
        boot.out.write_inventory()
        time.sleep(1.5)
        clone = machine(boot, 99, uuid=machine(boot, 11).uuid)
        assert clone.ask() == "_refused"
        assert clone.values["reason"] == "its product_uuid is that of m1, its MAC is not"
        assert machine(boot, 11).ask() == "m1"


def test_strangers_are_seen_and_cost_no_write(boot: Coordinator) -> None:
    rows = len(boot.events())
    stranger = machine(boot, 99)
    for _ in range(3):
        assert stranger.ask() == "_unknown"
    seen = boot.status()["strangers"]
    assert len(seen) == 1
    assert {key: seen[0][key] for key in ("mac", "productUuid", "serial", "count")} == {
        "mac": stranger.mac, "productUuid": stranger.uuid, "serial": stranger.serial, "count": 3,
    }  # fmt: skip
    for number in range(300):
        machine(boot, 99, serial=f"S{number}").ask()
    assert len(boot.status()["strangers"]) == 256
    assert len(boot.events()) == rows


@pytest.mark.parametrize("serial", ["${uuid}", "a\nchain http://evil", "`reboot`", "&& shell", "ä" * 200])
def test_what_a_machine_says_never_reaches_a_script(boot: Coordinator, serial: str) -> None:
    answer = machine(boot, 99, serial=serial).request()
    assert answer.status_code == 200
    assert answer.text == "#!ipxe\nset kubeseed-reason it is not in the spec\n# script _unknown\n"
    assert machine(boot, 11, serial=serial).ask() == "m1"


def test_questions_are_read_strictly(boot: Coordinator) -> None:
    m1 = machine(boot, 11)
    assert m1.request(mac="52:54").status_code == 422
    assert m1.request(node="m1").status_code == 400
    assert m1.ask(uuid="not settable") == "m1"  # as old firmware answers


def test_a_machine_that_cannot_be_served_is_told_why(tmp_path: Path) -> None:
    with bootable(tmp_path) as boot:
        (tmp_path / "images" / "index.json").unlink()
        m1 = machine(boot, 11)
        assert m1.ask() == "_refused"
        assert m1.values == {"reason": "there is no image debian-12 on the boot server"}
        assert boot.status()["nodes"]["m1"]["boot"] is None
        (tmp_path / "images" / "index.json").write_text("{}")
        assert m1.request().status_code == 503
        write_images(tmp_path / "images")
        assert m1.ask() == "m1"


def test_live(boot: Coordinator) -> None:
    w2 = machine(boot, 15)
    assert w2.ask() == "w2"
    assert w2.values["image"] == w2.values["digest"] == digest_of("squashfs")
    assert w2.values["format"] == "raw"
    assert w2.report("w2", "started").status_code == 200
    assert w2.report("w2", "live").status_code == 200
    assert boot.status()["nodes"]["w2"]["boot"]["state"] == "live"
    first = w2.values["run"]
    assert w2.ask() == "w2"
    assert w2.values["run"] != first
    assert machine(boot, 15, serial="another").ask() == "_refused"


@pytest.mark.parametrize(("node", "number", "state"), [("w1", 14, "bound"), ("m1", 11, "pending")])
def test_the_network_is_trusted_for_workers_only(tmp_path: Path, node: str, number: int, state: str) -> None:
    with bootable(tmp_path) as boot:
        trust(boot)
        booting = machine(boot, number)
        booting.install(node)
        joining = boot.machine(node)
        joining.enrol(f"Pending {node}", product_uuid=booting.uuid)
        assert boot.status()["nodes"][node]["state"] == state
        second = boot.machine(node).enrol(f"Pending {node}", product_uuid=booting.uuid)
        assert second.status_code == 409
        assert "seed-conflict" in [row["action"] for row in boot.events() if row["outcome"] == "alarm"]


def test_the_network_is_not_trusted_for_another_machine(tmp_path: Path) -> None:
    with bootable(tmp_path) as boot:
        trust(boot)
        machine(boot, 14).install("w1")
        assert boot.machine("w1").enrol("Pending w1", product_uuid=machine(boot, 99).uuid).status_code == 202


def trust(boot: Coordinator) -> None:
    boot.out.inventory["trustSeconds"] = 60
    boot.out.write_inventory()
    time.sleep(1.5)


def test_assets_are_served_by_their_digest_and_in_parts(boot: Coordinator) -> None:
    with boot.boot() as client:
        whole = client.get(f"/assets/{digest_of('kernel')}")
        assert whole.content == PARTS["kernel"]
        part = client.get(f"/assets/{digest_of('kernel')}", headers={"Range": "bytes=100-199"})
        assert (part.status_code, part.content) == (206, PARTS["kernel"][100:200])
        assert part.headers["content-range"] == f"bytes 100-199/{len(PARTS['kernel'])}"
        head = client.head(f"/assets/{digest_of('kernel')}")
        assert (head.status_code, int(head.headers["content-length"])) == (200, len(PARTS["kernel"]))
        assert client.get(f"/assets/{'0' * 64}").status_code == 404
        for path in ("/assets/index.json", "/assets/..%2findex.json", "/tftp/passwd", "/tftp/..%2f..%2fetc%2fpasswd"):
            assert client.get(path).status_code == 404, path
        assert client.get("/boot.ipxe").text == "#!ipxe\n# entry\n"
        assert client.get("/tftp/snponly.efi").status_code == 404  # nobody has put it there


def test_an_asset_is_never_a_link(boot: Coordinator, tmp_path: Path) -> None:
    blob = tmp_path / "images" / "blob" / digest_of("kernel")
    blob.unlink()
    blob.symlink_to("/etc/passwd")
    with boot.boot() as client:
        assert client.get(f"/assets/{digest_of('kernel')}").status_code == 404


def test_the_log_tells_the_doctor(boot: Coordinator) -> None:
    machine(boot, 11).ask()
    machine(boot, 99).ask()
    lines = re.findall(r"boot mac=(\S+) .* node=(\S+) decision=(\S+) reason=(.+)", boot.log)
    assert lines == [
        ("52:54:00:00:00:11", "m1", "install", "m1 is new"),
        ("52:54:00:00:00:99", "-", "unknown", "it is not in the spec"),
    ]


def test_an_installer_that_is_heard_only_at_its_end(tmp_path: Path) -> None:
    with bootable(tmp_path, m1="installer") as boot:
        m1 = machine(boot, 11)
        m1.install("m1")
        node = boot.machine("m1").enrolled()
        boot.order("/nodes/m1/reinstall")
        assert m1.ask() == "m1"
        assert m1.report("m1", "installed").status_code == 200
        assert node.get("/v1/backends").status_code == 401
        assert boot.machine("m1").enrol().status_code == 200


def test_an_installer_reads_its_file(boot: Coordinator) -> None:
    seed = boot.out.root / "pxe" / "seed" / "m1"
    seed.mkdir(parents=True, exist_ok=True)
    for name in ("preseed.cfg", "kickstart.cfg", "autoinstall.yaml", "meta-data", "vendor-data", "enrol.curl"):
        (seed / name).write_text(f"# {name}\n")
    served = {
        "/seed/m1/preseed.cfg": "preseed.cfg", "/seed/m1/kickstart.cfg": "kickstart.cfg",
        "/seed/m1/autoinstall/user-data": "autoinstall.yaml", "/seed/m1/autoinstall/meta-data": "meta-data",
        "/seed/m1/autoinstall/vendor-data": "vendor-data",
    }  # fmt: skip
    with boot.boot() as client:
        assert {path: client.get(path).text for path in served} == {
            path: f"# {name}\n" for path, name in served.items()
        }
        for path in ("/seed/m1/enrol.curl", "/seed/m1/autoinstall/network-config", "/seed/m2/preseed.cfg"):
            assert client.get(path).status_code == 404, path
