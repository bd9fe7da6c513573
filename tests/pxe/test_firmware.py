"""Real firmware and iPXE against the coordinator and dnsmasq: who gets what, and that the local disk boots."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.run import Run
from tests.pxe.box import Box, Firmware
from tests.pxe.place import Place, place
from tests.pxe.tiny import WORDS, make_disk

pytestmark = pytest.mark.vm
PATIENCE = 600


@pytest.fixture(scope="module")
def disk(lab: Run) -> Path:
    return make_disk(lab.folder / "tiny")


@pytest.fixture(scope="module")
def site(lab: Run, kubeseed: Path) -> Iterator[Place]:
    with place(lab, kubeseed, "firmware") as made:
        made.generate(made.spec("mode: dhcp, enrolUnknown: true, range: {first: 192.168.77.100, last: 192.168.77.120}"))
        made.serve()
        made.answer_dhcp()
        yield made


def with_disk(box: Box, disk: Path) -> Box:
    """The machine with a copy of this disk."""
    box.folder.mkdir()
    shutil.copyfile(disk, box.disk)
    box.disk_size = 1
    return box


def test_the_disk_is_the_same_every_time(disk: Path, tmp_path: Path) -> None:
    assert make_disk(tmp_path / "again").read_bytes() == disk.read_bytes()


@pytest.mark.parametrize("firmware", list(Firmware))
def test_a_stranger_is_told_so_and_boots_its_own_disk(site: Place, disk: Path, firmware: Firmware) -> None:
    number = 90 + list(Firmware).index(firmware)
    box = with_disk(site.box(f"stranger-{firmware}", number, firmware=firmware, serial=f"S{number}"), disk)
    box.power_on()
    box.until_shown(WORDS, PATIENCE)
    if firmware is Firmware.UEFI:  # sent on by PXE, it tries its HTTP boot, too, before the disk
        assert "GET  /tftp/{name} 200" in (site.folder / "coordinator.log").read_text()
    assert "THIS MACHINE IS NOT IN THE SPEC OF CLUSTER lab" in box.console
    seen = {stranger["mac"]: stranger for stranger in site.status()["strangers"]}[box.mac]
    assert (seen["productUuid"], seen["serial"]) == (box.uuid, box.serial)
    assert box.mac in site.command("status", site.out)
    box.power_off()


def test_a_node_without_its_image_boots_its_own_disk(site: Place, disk: Path) -> None:
    box = with_disk(site.box("m1", 11), disk)
    box.power_on()
    box.until_shown(WORDS, PATIENCE)
    assert site.boot_state("m1") == ""
    assert "there is no image debian-12 on the boot server" in [row["reason"] for row in site.status()["strangers"]]
    box.power_off()


def test_a_machine_whose_boot_server_is_gone_boots_its_own_disk(lab: Run, kubeseed: Path, disk: Path) -> None:
    with place(lab, kubeseed, "away") as made:
        made.generate(made.spec())
        made.answer_dhcp()
        box = with_disk(made.box("m1", 11), disk)
        box.power_on()
        box.until_shown(WORDS, PATIENCE)
