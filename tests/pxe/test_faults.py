"""What goes wrong while a disk is written: each ends as docs/pxe.md says, no half-written disk ever boots."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.run import Run
from tests.lab.wait import until
from tests.pxe.box import Box
from tests.pxe.images import add_disk, built_images, copied, damage, disk_of
from tests.pxe.place import Place, place
from tests.pxe.tiny import WORDS, make_disk

pytestmark = [pytest.mark.metal, pytest.mark.timeout(3600)]
PATIENCE = 900
PADDING = 96  # MiB, so that writing takes a while
NO_DISK = "No bootable device"


@pytest.fixture(scope="module")
def store(lab: Run, kubeseed: Path) -> Path:
    """The built image, whose initramfs installs, and two small disks: one to spoil."""
    made = copied(built_images(kubeseed), lab.folder / "fault-images")
    for seed, name in enumerate(("tiny", "spoilt")):
        folder = lab.folder / f"disk-{name}"
        add_disk(kubeseed, made, name, make_disk(folder, PADDING, seed))
    return made


@pytest.fixture(scope="module")
def site(lab: Run, kubeseed: Path, store: Path) -> Iterator[Place]:
    with place(lab, kubeseed, "faults", store) as made:
        tiny = "pxe: {image: tiny}"
        marked = f'{tiny}, productUuid: "6f3c1e7a-0000-4000-8000-000000000024"'
        pxe = "mode: dhcp, enrolUnknown: true, range: {first: 192.168.77.100, last: 192.168.77.120}"
        made.generate(made.spec(pxe, workers=4, w1="pxe: {image: spoilt}", w2=tiny, w3=tiny, w4=marked))
        made.serve()
        made.answer_dhcp()
        yield made


def check_it_does_not_boot(box: Box) -> None:
    """Without power nothing bootable is on its disk, and its firmware agrees when it is alone with it."""
    box.power_off()
    assert not box.has_boot_code()
    seen = box.shown(NO_DISK)
    box.plugged = False
    box.power_on()
    box.until_shown(NO_DISK, PATIENCE, times=seen + 1)
    box.power_off()
    box.plugged = True


def alarms(site: Place) -> list[str]:
    return [line for line in site.command("events", site.out).splitlines() if "boot-conflict ALARM" in line]


@pytest.mark.parametrize(("name", "keep"), [("corrupted", 1.0), ("truncated", 0.6)])
def test_an_image_that_is_not_what_it_was(site: Place, store: Path, name: str, keep: float) -> None:
    blob = store / "blob" / disk_of(store, "spoilt")
    whole = blob.read_bytes()
    box = site.box(f"w1-{name}", 21, disk_size=1024)
    damage(store, blob.name, keep=keep)
    try:
        box.power_on()
        box.until_shown("attempt 2 failed: ", PATIENCE)
        until("the coordinator knows", lambda: site.boot_state("w1") == "failed", 60)
        assert site.node("w1")["boot"]["cause"] == "damaged"
        assert "build or add the image anew" in site.command("pxe", "doctor", site.out, *site.logs)
        check_it_does_not_boot(box)
    finally:
        blob.write_bytes(whole)
    box.power_on()
    box.until_shown(WORDS, PATIENCE)
    box.power_off()
    assert site.boot_state("w1") == "installed"
    site.command("node", "reinstall", site.out, "w1")


def test_a_coordinator_that_goes_away_and_a_power_cut(site: Place) -> None:
    assert site.coordinator is not None
    box = site.box("w2", 22, disk_size=1024)
    box.power_on()
    box.until_shown("asks http", PATIENCE)
    box.slow_down(100)
    box.until_shown("writing the image", PATIENCE)
    box.slow_down(8)
    site.coordinator.kill()
    box.until_shown("attempt 1 failed: download", PATIENCE)
    check_it_does_not_boot(box)
    site.serve()
    assert site.boot_state("w2") == "installing"
    box.slow_down(0)
    box.power_on()
    box.until_shown(WORDS, PATIENCE)
    assert site.boot_state("w2") == "installed"
    box.power_off()


def test_two_machines_with_one_mac(site: Place) -> None:
    first = site.box("w3-first", 23, disk_size=1024)
    second = site.box("w3-second", 23, disk_size=1024, uuid="6f3c1e7a-0000-4000-8000-000000000093")
    first.power_on()
    first.until_shown("writing the image", PATIENCE)
    first.power_off()
    second.power_on()
    second.until_shown("NOTHING IS INSTALLED ON THIS MACHINE: another machine was installed as w3", PATIENCE)
    second.until_shown(NO_DISK, PATIENCE)
    second.power_off()
    assert not second.has_boot_code()
    assert len(alarms(site)) == 1
    first.power_on()
    first.until_shown(WORDS, PATIENCE)
    first.power_off()
    second.power_on()
    second.until_shown("booting from the local disk (another machine was installed as w3)", PATIENCE)
    second.power_off()
    assert not second.has_boot_code()
    assert site.boot_state("w3") == "installed"


def test_a_cloned_product_uuid(site: Place) -> None:
    clone = site.box("clone", 94, disk_size=64, uuid="6f3c1e7a-0000-4000-8000-000000000024")
    clone.power_on()
    clone.until_shown("NOTHING IS INSTALLED ON THIS MACHINE: its product_uuid is that of w4, its MAC is not", PATIENCE)
    clone.until_shown(NO_DISK, PATIENCE)
    clone.power_off()
    assert not clone.has_boot_code()
    assert site.boot_state("w4") == ""
