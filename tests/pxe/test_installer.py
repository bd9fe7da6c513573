"""debian-installer with the generated preseed. Its components are not to be had in the lab: it cannot finish."""

from pathlib import Path

import pytest

from generator.image.store import measure
from tests.lab.command import run
from tests.lab.run import Run
from tests.lab.wait import until
from tests.pxe.place import place

pytestmark = [pytest.mark.metal, pytest.mark.timeout(3600)]
PATIENCE = 1200
# Debian's package debian-installer-12-netboot-amd64.
INSTALLER = Path("/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64")


def test_debian_installer_takes_its_preseed_and_reports(lab: Run, kubeseed: Path) -> None:
    store, kernel, initrd = lab.folder / "installer-images", INSTALLER / "linux", INSTALLER / "initrd.gz"
    files: list[str | Path] = ["--kernel", kernel, "--kernel-sha256", measure(kernel).sha256]
    files += ["--initrd", initrd, "--initrd-sha256", measure(initrd).sha256]
    run([kubeseed, "image", "add", "di", *files, "--store", store])
    with place(lab, kubeseed, "installer", store) as site:
        site.generate(site.spec(w1="pxe: {deploy: installer, image: di, kernelArguments: ['console=ttyS0,115200']}"))
        site.serve()
        site.answer_dhcp()
        box = site.box("w1", 21, disk_size=4096, memory=1536)
        box.power_on()
        until("its early_command has reported", lambda: site.boot_state("w1") == "installing", PATIENCE, interval=2)
        log = (site.folder / "coordinator.log").read_text()
        assert "GET  /seed/{node}/{file} 200" in log
        assert "boot-installing w1" in site.command("events", site.out)
