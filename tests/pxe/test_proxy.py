"""A proxyDHCP beside the DHCP server that a site has already: addresses come from there, what to boot from us."""

import re
import shutil
from pathlib import Path

import pytest

from tests.lab.run import Run
from tests.pxe.box import Firmware
from tests.pxe.images import add_disk, built_images, copied
from tests.pxe.neighbour import foreign_dhcp
from tests.pxe.place import place
from tests.pxe.tiny import WORDS, make_disk

pytestmark = [pytest.mark.metal, pytest.mark.timeout(3600)]
PATIENCE = 600


def test_both_firmwares_are_told_what_to_boot(lab: Run, kubeseed: Path) -> None:
    disk = make_disk(lab.folder / "proxy-disk")
    with place(lab, kubeseed, "proxy") as site, foreign_dhcp(site.network, site.folder) as foreign:
        site.generate(site.spec("mode: proxy"))
        site.serve()
        site.answer_dhcp()
        for number, firmware in ((11, Firmware.BIOS), (21, Firmware.UEFI)):
            box = site.box(f"proxy-{firmware}", number, firmware=firmware, disk_size=1)
            box.folder.mkdir()
            shutil.copyfile(disk, box.disk)
            box.power_on()
            box.until_shown("there is no image debian-12 on the boot server", PATIENCE)
            box.until_shown(WORDS, PATIENCE)
            box.power_off()
            assert re.search(rf"DHCPACK\(eth0\) 192\.168\.77\.1\d\d {box.mac}", foreign.read_text())
        log = (site.folder / "pxe.log").read_text()
        assert "DHCPACK" not in log
        assert "DHCPOFFER" not in log


def test_a_disk_is_written(lab: Run, kubeseed: Path) -> None:
    store = copied(built_images(kubeseed), lab.folder / "proxy-images")
    add_disk(kubeseed, store, "tiny", make_disk(lab.folder / "proxy-tiny", 8))
    with place(lab, kubeseed, "proxy-install", store) as site, foreign_dhcp(site.network, site.folder):
        site.generate(site.spec("mode: proxy", m1="pxe: {image: tiny}"))
        site.serve()
        site.answer_dhcp()
        box = site.box("m1", 11, disk_size=256)
        box.power_on()
        box.until_shown(WORDS, PATIENCE)
        assert site.boot_state("m1") == "installed"
