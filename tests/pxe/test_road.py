"""The whole road: a blank disk, PXE, an image, an enrolled node, stages done; then the local disk; anew on order."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.proof import note
from tests.lab.run import Run
from tests.pxe.box import Box, Firmware
from tests.pxe.images import built_images
from tests.pxe.place import Place, place

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3600)]
# Seconds that an emulated machine may take for one step, on two busy cores.
PATIENCE = 900
SKIPPED = {"clock", "engine", "packages", "load-balancer", "etcd", "init", "join", "verify", "addons", "backup"}


@pytest.fixture(scope="session")
def images(lab: Run, kubeseed: Path) -> Path:
    assert lab
    return built_images(kubeseed)


@contextmanager
def timed(times: dict[str, float], what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    times[what] = time.monotonic() - began


def install(site: Place, box: Box, node: str, *, times: int = 1) -> dict[str, float]:
    """From power-on to the last stage; what each step took in seconds."""
    took: dict[str, float] = {}
    box.power_on()
    with timed(took, "installer running"):
        box.until_shown(f"node {node}: installing", PATIENCE, times=times)
    with timed(took, "image written and verified"):
        box.until_shown(f"node {node}: installed; restarting", PATIENCE, times=times)
    with timed(took, "booted from disk and enrolled"):
        site.approve(node, PATIENCE)
    with timed(took, "stages done"):
        site.until_done(node, PATIENCE)
    return took


def words(took: dict[str, float]) -> str:
    return ", ".join(f"{what} {seconds:.0f} s" for what, seconds in took.items())


def check_done(site: Place, node: str) -> None:
    status = site.node(node)
    assert status["state"] == "closed"
    assert {name for name, stage in status["stages"].items() if stage["state"] == "skipped"} == SKIPPED
    assert {stage["state"] for name, stage in status["stages"].items() if name not in SKIPPED} == {"done"}
    assert "ALARM" not in site.command("events", site.out)


@pytest.mark.parametrize("firmware", [Firmware.BIOS])
def test_a_blank_disk_becomes_a_node(lab: Run, kubeseed: Path, images: Path, firmware: Firmware) -> None:
    with place(lab, kubeseed, f"road-{firmware}", images) as site:
        site.generate(site.spec())
        site.serve()
        site.answer_dhcp()
        box = site.box("m1", 11, firmware=firmware, disk_size=4096)
        took = install(site, box, "m1")
        check_done(site, "m1")
        first = site.node("m1")["fingerprint"]
        assert "█" in box.console or "\x1b[40" in box.console  # the QR code

        box.power_off()
        box.power_on()
        with timed(took, "again from the local disk"):
            box.until_shown("booting from the local disk (m1 is installed)", PATIENCE, times=2)
            box.until_shown("m1 login:", PATIENCE)
        assert box.console.count("node m1: installing") == 1
        box.power_off()

        assert "installed anew" in site.command("node", "reinstall", site.out, "m1")
        again = install(site, box, "m1", times=2)
        check_done(site, "m1")
        assert re.fullmatch(r"([0-9a-f]{4}-){4}[0-9a-f]{4}", first)
        assert site.node("m1")["fingerprint"] != first
        note(f"PXE, {firmware}, blank disk to a node", words(took))
        note(f"PXE, {firmware}, installed anew", words(again))
