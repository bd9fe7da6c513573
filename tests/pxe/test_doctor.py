"""What the doctor says of machines that stopped on every step: on lines that dnsmasq and the coordinator write."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from generator.cli import app
from generator.pxe.doctor import Diagnosis, diagnose
from generator.pxe.trace import Traces, read_traces
from http_server.service.installation import CAUSES as REPORTED
from http_server.table_boot import CAUSES

MAC = "52:54:00:00:00:11"
DISCOVER = f"dnsmasq-dhcp[213]: 2258045281 DHCPDISCOVER(br0) {MAC} "
IGNORED = f"dnsmasq-dhcp[213]: 2258045281 DHCPDISCOVER(br0) {MAC} ignored"
NO_ADDRESS = f"dnsmasq-dhcp[213]: 2258045281 DHCPDISCOVER(br0) {MAC} no address available"
OFFER = f"dnsmasq-dhcp[213]: 2258045281 DHCPOFFER(br0) 192.168.77.11 {MAC} m1"
ACK = f"dnsmasq-dhcp[213]: 2258045281 DHCPACK(br0) 192.168.77.11 {MAC} m1"
PROXY = f"dnsmasq-dhcp[213]: 2258045281 PXE(br0) {MAC} proxy"
PROXY_IGNORED = f"dnsmasq-dhcp[213]: 2258045281 PXE(br0) {MAC} proxy-ignored"
SENT = "dnsmasq-tftp[213]: sent /var/lib/kubeseed/tftp/snponly.efi to 192.168.77.11"
MISSING = "dnsmasq-tftp[213]: file /var/lib/kubeseed/tftp/snponly.efi not found for 192.168.77.11"
TAGS = "dnsmasq-dhcp[213]: 2258045281 tags: known, net0, ipxe, x64, br0"
FAULT = "dnsmasq: failed to bind DHCP server socket: Address already in use"
BOOT = (
    "2026-11-26T16:28:50 info: boot mac=52:54:00:00:00:11 product_uuid=6f3c1e7a-0000-4000-8000-000000000001 "
    "peer=192.168.77.11 node=m1 decision={} reason={}"
)
INSTALL = BOOT.format("install", "m1 is new")
ASSET = "2026-11-26T16:28:51 192.168.77.11 GET  /assets/{digest} 200 31ms"
INVENTORY = {"nodes": {"m1": {"macs": [MAC], "boot": {"deploy": "image", "image": "debian-12"}}}}


def node(state: str = "issued", boot: str = "", cause: str = "", **stages: str) -> dict[str, Any]:
    """What the coordinator's status says of m1."""
    latch = {"state": boot, "cause": cause, "until": 0.0, "machine": {"mac": MAC}} if boot else None
    told = {name: {"state": word} for name, word in stages.items()}
    return {"nodes": {"m1": {"state": state, "fingerprint": "a1b2", "boot": latch, "stages": told}}}


def told(dnsmasq: list[str], coordinator: list[str], status: dict[str, Any] | None = None) -> Diagnosis:
    found = list(diagnose(read_traces(dnsmasq, coordinator), INVENTORY, status or node(), CAUSES, "out"))
    assert [each.node for each in found] == ["m1"]
    return found[0]


@pytest.mark.parametrize(
    ("dnsmasq", "coordinator", "reached", "advice"),
    [
        ([], [], "-", "nothing was heard of it"),
        ([DISCOVER], [], "it asks for an address", "another DHCP server"),
        ([IGNORED], [], "it asks for an address", "its MAC is not in the spec"),
        ([PROXY_IGNORED], [], "it asks for an address", "its MAC is not in the spec"),
        ([NO_ADDRESS], [], "it asks for an address", "no address available"),
        ([DISCOVER, OFFER, ACK], [], "it has an answer and address 192.168.77.11", "UDP 69"),
        ([PROXY], [], "it has an answer", "no other DHCP server"),
        ([DISCOVER, OFFER, ACK, MISSING], [], "it asked for iPXE", "snponly.efi not found"),
        ([DISCOVER, OFFER, ACK, MISSING, SENT], [], "it was given iPXE", "Secure Boot"),
        ([DISCOVER, OFFER, ACK, SENT, DISCOVER, TAGS], [], "it runs iPXE", "coordinator.bootUrl"),
        ([DISCOVER, TAGS], [BOOT.format("refused", "it is late")], "it asked the coordinator", "refused: it is late"),
        ([], [BOOT.format("unknown", "it is not in the spec")], "it asked the coordinator", "not in the spec"),
        ([], [INSTALL], "it was offered its installation", "no kernel"),
        ([], [INSTALL, ASSET], "it fetched the kernel", "initramfs"),
        ([], [INSTALL, ASSET, ASSET], "it fetched kernel and initramfs", "does not report"),
        ([], [BOOT.format("local", "m1 is installed")], "it was sent to its local disk", "node reinstall out m1"),
    ],
)
def test_how_far_the_logs_say_it_came(dnsmasq: list[str], coordinator: list[str], reached: str, advice: str) -> None:
    found = told(dnsmasq, coordinator)
    assert found.reached == reached
    assert advice in found.advice
    assert found.verdict == ("ok" if "local disk" in reached else "LOOK")


@pytest.mark.parametrize(
    ("status", "verdict", "reached", "advice"),
    [
        (node(boot="offered"), "LOOK", "it was offered its installation", "console"),
        (node(boot="installing"), "WAIT", "its installer writes the disk", "wait"),
        (node(boot="failed", cause="digest"), "LOOK", "its installer stopped", "look at disk and image"),
        (node("closed", boot="failed", cause="full-disk"), "LOOK", "its installer stopped", "node reinstall out m1"),
        (node(boot="installed"), "LOOK", "it is installed", "has not enrolled"),
        (node(boot="live"), "LOOK", "its live system runs", "has not enrolled"),
        (node("closed", boot="armed"), "WAIT", "it is to be installed anew", "restart the machine before"),
        (node("pending", boot="installed"), "LOOK", "it asks for approval", "kubeseed approve out m1 a1b2"),
        (node("bound", boot="installed"), "WAIT", "it is enrolled", "under way"),
        (node("bound", boot="installed", base="failed"), "LOOK", "it is enrolled", "stage base failed"),
        (node("closed", boot="installed"), "OK", "it is a node", "nothing"),
        (node("revoked", boot="installed"), "LOOK", "it is revoked", "rearm out m1"),
    ],
)
def test_how_far_the_coordinator_says_it_came(status: dict[str, Any], verdict: str, reached: str, advice: str) -> None:
    found = told([], [], status)
    assert (found.verdict.upper(), found.reached) == (verdict, reached)
    assert advice in found.advice


def test_every_cause_that_an_installer_reports_has_words() -> None:
    assert {cause for cause in REPORTED if cause} == set(CAUSES)


def test_a_coordinator_that_is_away_is_said() -> None:
    traces = read_traces([DISCOVER, TAGS], [])
    (found,) = diagnose(traces, INVENTORY, None, CAUSES, "out")
    assert found.advice == "nobody answered: kubeseed serve out"


def test_strangers_come_after_the_nodes() -> None:
    traces = read_traces([IGNORED.replace(MAC, "52:54:00:00:00:99")], [])
    first, stranger = diagnose(traces, INVENTORY, node(), CAUSES, "out")
    assert (first.node, first.reached) == ("m1", "-")
    assert (stranger.node, stranger.mac, stranger.reached) == ("", "52:54:00:00:00:99", "it asks for an address")


def test_a_log_in_json_says_the_same() -> None:
    message = json.dumps({"at": 1.0, "level": "info", "message": INSTALL.partition("info: ")[2]})
    request = {"peer": "192.168.77.11", "method": "GET", "route": "/assets/{digest}", "status": 200}
    found = told([], [message, json.dumps(request), "{broken", "[1]"])
    assert found.reached == "it fetched the kernel"


def test_dnsmasqs_own_faults_are_kept() -> None:
    traces: Traces = read_traces([FAULT], [])
    assert traces.faults == ["failed to bind DHCP server socket: Address already in use"]


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "coordinator").mkdir()
    (tmp_path / "coordinator" / "inventory.json").write_text(json.dumps(INVENTORY))
    log = tmp_path / "dnsmasq.log"
    log.write_text(f"{FAULT}\n{IGNORED}\n")
    (tmp_path / "serve.log").write_text("")
    options = ["--dnsmasq-log", str(log), "--coordinator-log", str(tmp_path / "serve.log")]
    shown = CliRunner().invoke(app, ["pxe", "doctor", str(tmp_path), *options], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert "no coordinator serves" in shown.output
    assert "dnsmasq cannot work: failed to bind" in shown.output
    assert "its MAC is not in the spec" in shown.output
    data = json.loads(CliRunner().invoke(app, ["pxe", "doctor", str(tmp_path), *options, "--json"]).output)
    assert data["machines"][0]["verdict"] == "LOOK"
