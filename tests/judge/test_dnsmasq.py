"""dnsmasq takes the boot server's configuration of every kind, and can say no."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from generator.plan.pxe import plan_boot_server
from generator.render.dnsmasq import render_dnsmasq
from tests.example import NODES, example

pytestmark = pytest.mark.judge
SERVER = "/usr/sbin/dnsmasq"
COORDINATOR = {"url": "https://192.168.77.2:8443", "bootUrl": "http://192.168.77.2:8080"}
RANGE = {"first": "192.168.77.100", "last": "192.168.77.150"}
MACS = {"macs": ["52:54:00:00:00:11", "52:54:00:00:01:11"], "network": {"bond": {}}}
NETWORK = {"gateway": "192.168.77.1", "nameservers": ["192.168.77.1", "fd00:77::1"]}
FAR = {"name": "far.example.org", "roles": ["worker"], "address": "10.9.1.5", "mac": "52:54:00:00:00:99"}
KINDS: dict[str, dict[str, Any]] = {
    "proxy": {},
    "dhcp": {"mode": "dhcp"},
    "range": {"mode": "dhcp", "range": RANGE, "lease": "90m"},
    "unknown machines": {"mode": "dhcp", "range": RANGE, "enrolUnknown": True},
    "proxy, unknown machines": {"enrolUnknown": True, "interface": "eno1.77", "tftpRoot": "/srv/tftp"},
}


def configuration(pxe: dict[str, Any]) -> str:
    nodes = [{**NODES[0], **MACS}, *NODES[1:], FAR, {**FAR, "name": "arm", "arch": "arm64", "address": "10.9.1.6"}]
    cluster = example(
        coordinator=COORDINATOR, pxe={"interface": "eno1", **pxe}, nodes=nodes, defaults={"network": NETWORK}
    )
    assert cluster.pxe
    return render_dnsmasq(plan_boot_server(cluster, cluster.pxe)).decode()


def judge(text: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    path = folder / "dnsmasq.conf"
    path.write_text(text)
    command = (SERVER, "--test", f"--conf-file={path}")
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("kind", KINDS)
def test_dnsmasq_takes_what_we_write(kind: str, tmp_path: Path) -> None:
    done = judge(configuration(KINDS[kind]), tmp_path)
    assert (done.returncode, done.stderr) == (0, "dnsmasq: syntax check OK.\n")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("dhcp-authoritative", "dhcp-authorative"),
        ("dhcp-host=52:54:00:00:00:11", "dhcp-host=52:54:00:00:00:xx"),
        ("set:net0,192.168.77.100,192.168.77.150", "set:net0,192.168.77.100,192.168.78.150"),
        ("set:bios,option:client-arch,0", "set:bios,option:client-arhc,0"),
    ],
)
def test_dnsmasq_refuses_what_is_wrong(right: str, wrong: str, tmp_path: Path) -> None:
    text = configuration(KINDS["range"])
    assert right in text
    assert judge(text.replace(right, wrong), tmp_path).returncode != 0
