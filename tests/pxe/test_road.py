"""The whole road: a blank disk, PXE, an image, an enrolled node, stages done; then the local disk; anew on order."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from generator.image.disk import ROOT_START
from tests.cluster.proof import note
from tests.lab.disk import read_partition
from tests.lab.run import Run
from tests.lab.secret_search import secrets_of_node, secrets_of_out
from tests.pxe.box import Box, Firmware
from tests.pxe.capture import Capture, captured
from tests.pxe.images import built_images
from tests.pxe.place import PASSWORD_HASH, Place, place

pytestmark = pytest.mark.timeout(7200)
# Seconds that an emulated machine may take for one step, on two busy cores.
PATIENCE = 1500
SKIPPED = {"clock", "engine", "packages", "load-balancer", "etcd", "init", "join", "verify", "addons", "backup"}


@pytest.fixture(scope="module")
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
    with timed(took, "installer runs"):
        box.until_shown(f"node {node}: installing", PATIENCE, times=times)
    with timed(took, "image written and verified"):
        box.until_shown(f"node {node}: installed; restarting", PATIENCE, times=times)
    with timed(took, "asks for approval"):
        site.approve(node, PATIENCE)
    with timed(took, "stages done"):
        check_done(site, node)
    return took


def check_done(site: Place, node: str) -> None:
    status = site.until_done(node, PATIENCE)
    assert status["state"] == "closed"
    assert {name for name, stage in status["stages"].items() if stage["state"] == "skipped"} == SKIPPED
    assert {stage["state"] for name, stage in status["stages"].items() if name not in SKIPPED} == {"done"}
    assert "ALARM" not in site.command("events", site.out)


def check_qr_code(box: Box, node: str, fingerprint: str) -> None:
    """The code on the console is that of the command to type; the kernel's messages may have torn a line of it."""
    command = f"kubeseed approve OUT {node} {fingerprint}"
    made = subprocess.run(["qrencode", "-t", "ANSI", "-m", "2", command], capture_output=True, text=True, check=True)
    lines = [line for line in made.stdout.splitlines() if line.strip()]
    shown = set(box.console.splitlines())
    assert sum(line in shown for line in lines) > len(lines) * 0.8


def boot_again(box: Box, node: str) -> None:
    """From the network: it is sent to its disk, and nothing is installed."""
    installations, decisions = (box.shown(words) for words in (": installing", "booting from the local disk"))
    box.power_off()
    box.power_on()
    box.until_shown(f"booting from the local disk ({node} is installed)", PATIENCE, times=decisions + 1)
    logins = box.shown(f"{node} login:")
    box.until_shown(f"{node} login:", PATIENCE, times=logins + 1)
    assert box.shown(": installing") == installations
    box.power_off()


def check_no_secret(site: Place, capture: Capture, box: Box, node: str) -> None:
    """Nothing secret went over plain HTTP, TFTP and DHCP; that the search works is shown with what is public."""
    root = read_partition(box.disk, ROOT_START, site.folder / f"disk-{node}")
    of_node = secrets_of_node(node, root)
    assert f"credential of {node}" in of_node
    secrets = {"password hash": PASSWORD_HASH.encode(), **secrets_of_out(site.out), **of_node}
    public = {
        "seed": f"NODE='{node}'".encode(),
        "order": b"kubeseed.wipe=",
        "root": (site.out / "pxe/ca.crt").read_bytes()[30:90],
    }
    assert {found.secret for found in capture.search(public, site.folder)} >= {"seed", "order", "root"}
    assert capture.search(secrets, site.folder) == []


def words(took: dict[str, float]) -> str:
    return ", ".join(f"{what} {seconds:.0f} s" for what, seconds in took.items())


@pytest.mark.vm
def test_a_blank_disk_becomes_a_node(lab: Run, kubeseed: Path, images: Path) -> None:
    with place(lab, kubeseed, "road", images) as site:
        site.generate(site.spec())
        site.serve()
        site.answer_dhcp()
        box = site.box("m1", 11, disk_size=4096)
        with captured(site.network, site.folder / "capture") as capture:
            took = install(site, box, "m1")
            check_qr_code(box, "m1", site.node("m1")["fingerprint"])
            with timed(took, "again from its disk"):
                boot_again(box, "m1")
        note("PXE, BIOS: blank disk to a node", words(took))
        check_no_secret(site, capture, box, "m1")
        assert "it is a node" in site.command("pxe", "doctor", site.out, *site.logs)


@pytest.mark.metal
def test_a_machine_without_a_disk_runs_live(lab: Run, kubeseed: Path, images: Path) -> None:
    with place(lab, kubeseed, "live", images) as site:
        site.generate(site.spec(w1="pxe: {deploy: live}"))
        site.serve()
        site.answer_dhcp()
        box = site.box("w1", 21, memory=2048)
        took: dict[str, float] = {}
        box.power_on()
        with timed(took, "asks for approval"):
            site.approve("w1", PATIENCE)
        with timed(took, "stages done"):
            check_done(site, "w1")
        assert site.boot_state("w1") == "live"
        first = site.node("w1")["fingerprint"]
        box.power_off()
        box.power_on()  # it has forgotten everything
        site.approve("w1", PATIENCE)
        check_done(site, "w1")
        assert site.node("w1")["fingerprint"] != first
        note("PXE, BIOS: a live node without a disk", words(took))


@pytest.mark.metal
@pytest.mark.parametrize("firmware", [Firmware.UEFI, Firmware.BIOS])
def test_a_node_is_installed_anew_on_order(lab: Run, kubeseed: Path, images: Path, firmware: Firmware) -> None:
    with place(lab, kubeseed, f"anew-{firmware}", images) as site:
        site.generate(site.spec())
        site.serve()
        site.answer_dhcp()
        box = site.box("m1", 11, firmware=firmware, disk_size=4096)
        took = install(site, box, "m1")
        first = site.node("m1")["fingerprint"]
        with timed(took, "again from its disk"):
            boot_again(box, "m1")
        assert "installed anew" in site.command("node", "reinstall", site.out, "m1")
        assert "restart the machine" in site.command("pxe", "doctor", site.out, *site.logs)
        again = install(site, box, "m1", times=2)
        boot_again(box, "m1")
        assert site.node("m1")["fingerprint"] != first
        note(f"PXE, {firmware}: blank disk to a node", words(took))
        note(f"PXE, {firmware}: the same node installed anew", words(again))


@pytest.mark.metal
def test_the_network_is_trusted_for_a_worker(lab: Run, kubeseed: Path, images: Path) -> None:
    with place(lab, kubeseed, "trust", images) as site:
        site.generate(site.spec("mode: dhcp, trustNetwork: true"))
        site.serve()
        site.answer_dhcp()
        box = site.box("w1", 21, disk_size=4096)
        box.power_on()
        check_done(site, "w1")
