"""The words that distributions' installers send: real curl and wget against the coordinator, as the files have them."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from generator.profile import Installer
from generator.render.installer import render_installation
from generator.render.progress import Client, report_installed, report_started
from http_server.boot import BootState
from tests.http.process import Coordinator
from tests.installing import PROFILES, cluster_of, planned
from tests.pxe.bootable import bootable, machine

URL = "http://192.168.77.2:8080"


@pytest.fixture
def boot(tmp_path: Path) -> Iterator[Coordinator]:
    with bootable(tmp_path, m1="installer") as coordinator:
        yield coordinator


def send(line: str, run: str, folder: Path) -> None:
    """Runs the line as an installer does whose kernel was told this run."""
    command_line = folder / "cmdline"
    command_line.write_text(f"initrd=initrd kubeseed.node=m1 auto=true kubeseed.run={run} quiet\n")
    assert "/proc/cmdline" in line
    subprocess.run(["sh", "-euc", line.replace("/proc/cmdline", str(command_line))], check=True, timeout=60)


@pytest.mark.parametrize("client", list(Client))
def test_the_coordinator_hears_it(boot: Coordinator, tmp_path: Path, client: Client) -> None:
    with boot.boot() as http:
        url = str(http.base_url).rstrip("/")
    m1 = machine(boot, 11)
    assert m1.ask() == "m1"
    for line, state in ((report_started, BootState.INSTALLING), (report_installed, BootState.INSTALLED)):
        send(line(url, "m1", client), m1.values["run"], tmp_path)
        assert boot.status()["nodes"]["m1"]["boot"]["state"] == state


def test_nobody_waits_for_a_coordinator_that_is_away(tmp_path: Path) -> None:
    send(report_started("http://127.0.0.1:9", "m1", Client.CURL), "0" * 32, tmp_path)


def rendered(os: str, url: str) -> str:
    seed, install, scripts = planned(cluster_of("plain", os), PROFILES[os])
    return render_installation(seed.public, replace(install, reports_to=url), scripts)[1].decode()


def test_only_what_is_served_for_network_boot_reports() -> None:
    for os in ("rocky-9", "debian-12", "ubuntu-24.04"):
        assert "/boot/report" in rendered(os, URL)
        assert "/boot/report" not in rendered(os, "")


def test_preseed_reports_when_it_is_read_and_when_all_is_done() -> None:
    text = rendered("debian-12", URL)
    assert f"early_command string {report_started(URL, 'm1', Client.WGET)}\n" in text
    assert text.endswith(f"[ $status -eq 0 ] || exit $status; {report_installed(URL, 'm1', Client.WGET)}\n")
    subprocess.run(["debconf-set-selections", "--checkonly"], input=text, text=True, check=True, timeout=60)


@pytest.mark.parametrize("os", [each.id for each in PROFILES.values() if each.installer is Installer.KICKSTART])
def test_kickstart_reports_before_and_after(os: str, tmp_path: Path) -> None:
    text = rendered(os, URL)
    sections = re.findall(r"^%(pre|post)(?: [^\n]*)?\n(.*?)^%end$", text, re.MULTILINE | re.DOTALL)
    assert ("pre", report_started(URL, "m1", Client.CURL) + "\n") in sections
    assert sections[-1] == ("post", report_installed(URL, "m1", Client.CURL) + "\n")
    path = tmp_path / "kickstart.cfg"
    path.write_text(text)
    kickstart = PROFILES[os].kickstart
    assert kickstart
    validator = str(Path(sys.executable).with_name("ksvalidator"))
    subprocess.run([validator, "--version", kickstart.syntax.value, str(path)], check=True, timeout=60)


def test_autoinstall_reports_from_the_installers_own_system() -> None:
    tree = yaml.safe_load(rendered("ubuntu-24.04", URL))["autoinstall"]
    assert tree["early-commands"] == [report_started(URL, "m1", Client.CURL)]
    assert tree["late-commands"] == [report_installed(URL, "m1", Client.CURL)]
