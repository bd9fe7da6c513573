"""Knows the lines of dnsmasq's and the coordinator's logs that tell how far a machine came."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

_MAC = r"(?P<mac>[0-9a-f]{2}(?::[0-9a-f]{2}){5})"
_IP = r"(?P<ip>[0-9]{1,3}(?:\.[0-9]{1,3}){3})"


@dataclass(slots=True)
class Trace:
    """What the logs say of one network card, the newest word last. `files` are those that TFTP sent whole."""

    mac: str
    ip: str = ""
    asked: bool = False
    refusal: str = ""
    answered: bool = False
    files: list[str] = field(default_factory=list)
    tftp_fault: str = ""
    ipxe: bool = False
    decision: str = ""
    reason: str = ""
    assets: int = 0


@dataclass(slots=True)
class Traces:
    """All cards of the logs, and what dnsmasq said of itself when it could not work."""

    by_mac: dict[str, Trace] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    _by_ip: dict[str, Trace] = field(default_factory=dict)
    _by_exchange: dict[str, Trace] = field(default_factory=dict)

    def of(self, mac: str) -> Trace:
        """The card's trace, a new one when it was not heard of before."""
        return self.by_mac.setdefault(mac, Trace(mac))

    def _at(self, ip: str) -> Trace:
        """The card that has this address; one without a MAC, that nobody sees, when no line has told it."""
        return self._by_ip.get(ip) or Trace("")

    def _settle(self, trace: Trace, ip: str) -> None:
        trace.ip = ip
        self._by_ip[ip] = trace

    def dhcp(self, found: re.Match[str]) -> None:
        """DHCPDISCOVER(br0) 192.168.77.11 52:54:00:00:00:11 no address available"""
        trace, kind, rest = self.of(found["mac"]), found["kind"], found["rest"].strip()
        if found["exchange"]:
            self._by_exchange[found["exchange"]] = trace
        if kind in {"DHCPDISCOVER", "DHCPREQUEST"}:
            trace.asked = True
            trace.refusal = rest if rest in _REFUSALS else ""
        elif kind in {"DHCPOFFER", "DHCPACK"} or (kind == "PXE" and rest != "proxy-ignored"):
            trace.asked = trace.answered = True
            if found["ip"]:
                self._settle(trace, found["ip"])
        else:
            trace.asked, trace.refusal = True, rest.removeprefix("proxy-") or kind

    def tags(self, found: re.Match[str]) -> None:
        """1234 tags: known, net0, ipxe, bios, br0"""
        trace = self._by_exchange.get(found["exchange"])
        if trace and "ipxe" in found["tags"].replace(",", " ").split():
            trace.ipxe = True

    def sent(self, found: re.Match[str]) -> None:
        """sent /var/lib/kubeseed/tftp/undionly.kpxe to 192.168.77.11"""
        trace = self._at(found["ip"])
        trace.files.append(found["file"].rpartition("/")[2])
        trace.tftp_fault = ""

    def unsent(self, found: re.Match[str]) -> None:
        """file /var/lib/kubeseed/tftp/x.efi not found for 192.168.77.11; failed sending /x.efi to 192.168.77.11"""
        self._at(found["ip"]).tftp_fault = found["fault"]

    def fault(self, found: re.Match[str]) -> None:
        """dnsmasq: failed to bind DHCP server socket: Address already in use"""
        self.faults.append(found["fault"])

    def boot(self, found: re.Match[str]) -> None:
        """boot mac=52:54:00:00:00:11 product_uuid=- peer=192.168.77.11 node=m1 decision=install reason=m1 is new"""
        trace = self.of(found["mac"])
        trace.ipxe, trace.decision, trace.reason, trace.assets = True, found["decision"], found["reason"], 0
        self._settle(trace, found["ip"])

    def asset(self, found: re.Match[str]) -> None:
        """2026-11-26T16:28:50 192.168.77.11 GET  /assets/{digest} 200 31ms"""
        if found["status"] in {"200", "206"}:
            self._at(found["ip"]).assets += 1


_REFUSALS = ("ignored", "no address available", "no address range available for DHCP request")
_LINES: tuple[tuple[re.Pattern[str], Callable[[Traces, re.Match[str]], None]], ...] = (
    (re.compile(rf"(?:(?P<exchange>\d+) )?(?P<kind>DHCP[A-Z]+|PXE)\(\S+\) (?:{_IP} )?{_MAC}(?P<rest>.*)"), Traces.dhcp),
    (re.compile(r"(?P<exchange>\d+) tags: (?P<tags>.*)"), Traces.tags),
    (re.compile(rf"\bsent (?P<file>/\S+) to {_IP}"), Traces.sent),
    (re.compile(rf"(?P<fault>(?:file|failed sending) /\S+.*) (?:for|to) {_IP}"), Traces.unsent),
    (re.compile(r"\bdnsmasq(?:\[\d+\])?: (?P<fault>(?:failed to|cannot|unknown interface|bad) .*)"), Traces.fault),
    (
        re.compile(rf"boot mac={_MAC} .* peer={_IP} node=\S+ decision=(?P<decision>\w+) reason=(?P<reason>.*)"),
        Traces.boot,
    ),
    (re.compile(rf"{_IP} +GET +/assets/\S+ (?P<status>\d+) "), Traces.asset),
)  # fmt: skip


def read_traces(dnsmasq: Iterable[str], coordinator: Iterable[str]) -> Traces:
    """What both logs say of every card. The coordinator's may be text or JSON."""
    traces = Traces()
    for line in dnsmasq:
        _read(traces, line)
    for line in coordinator:
        _read(traces, _plain(line))
    return traces


def _read(traces: Traces, line: str) -> None:
    for pattern, take in _LINES:
        if found := pattern.search(line):
            take(traces, found)
            return


def _plain(line: str) -> str:
    """A line of `serve --log json` as `serve` writes it for people."""
    if not line.startswith("{"):
        return line
    try:
        entry = json.loads(line)
    except ValueError:
        return ""
    if not isinstance(entry, Mapping):
        return ""
    if "message" in entry:
        return str(entry["message"])
    return f"{entry.get('peer')} {entry.get('method')} {entry.get('route')} {entry.get('status')} "
