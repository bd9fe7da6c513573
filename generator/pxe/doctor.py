"""Knows what keeps a machine from becoming a node: from logs, inventory and status to one sentence for each machine."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from generator.pxe.trace import Trace, Traces

# What firmware asks for by TFTP; anything after these is iPXE's own work.
_BOOT_PROGRAMS = ("undionly.kpxe", "snponly.efi", "ipxe-arm64.efi")


@dataclass(frozen=True, slots=True)
class Case:
    """One machine: what the logs, the inventory and the coordinator say of it. `boot` and `node` are of the status."""

    name: str
    trace: Trace
    out: str
    causes: Mapping[str, str]
    answers: bool
    boot: Mapping[str, Any]
    node: Mapping[str, Any]

    @property
    def state(self) -> str:
        """How far its installation is."""
        return str(self.boot.get("state", ""))

    @property
    def enrolment(self) -> str:
        return str(self.node.get("state", ""))


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """How far a machine came, and what now: `ok` nothing, `wait` it goes on by itself, `LOOK` somebody has to."""

    verdict: str
    mac: str
    node: str
    reached: str
    advice: str


# Verdict, how far, what now; None when another rule has to say it.
Finding = tuple[str, str, str]
Rule = Callable[[Case], Finding | None]
OK, WAIT, LOOK = "ok", "wait", "LOOK"


def diagnose(
    traces: Traces, inventory: Mapping[str, Any], status: Mapping[str, Any] | None, causes: Mapping[str, str], out: str
) -> Iterator[Diagnosis]:
    """Every node that boots over the network, then every card of no node. `status` is None without a coordinator."""
    known = inventory["nodes"]
    seen: set[str] = set()
    for name, entry in known.items():
        if entry["boot"] is None:
            continue
        told = (status or {"nodes": {}})["nodes"].get(name, {})
        boot = told.get("boot") or {}
        macs = [*entry["macs"], *([boot["machine"]["mac"]] if boot else [])]
        seen.update(macs)
        trace = _furthest(traces, macs)
        yield _judge(Case(name, trace, out, causes, status is not None, boot, told))
    for mac, trace in traces.by_mac.items():
        if mac not in seen:
            yield _judge(Case("", trace, out, causes, status is not None, {}, {}))


def _furthest(traces: Traces, macs: list[str]) -> Trace:
    """The trace of the card that came furthest."""
    found = [traces.by_mac[mac] for mac in macs if mac in traces.by_mac]
    return max(
        found, key=lambda t: (bool(t.decision), t.ipxe, t.answered, t.asked), default=Trace(next(iter(macs), ""))
    )


def _judge(case: Case) -> Diagnosis:
    for rule in _RULES:
        if verdict := rule(case):
            light, reached, advice = verdict
            return Diagnosis(light, case.trace.mac, case.name, reached, advice)
    raise AssertionError("the last rule takes every case")


def _node(case: Case) -> Finding | None:
    """It has enrolled, or waits for it: the stages are `kubeseed status`'s affair."""
    stages: Mapping[str, Any] = case.node.get("stages", {})
    for name, stage in stages.items():
        if stage["state"] in {"failed", "stopped"}:
            return LOOK, "it is enrolled", f"stage {name} {stage['state']}; see: kubeseed status {case.out}"
    if case.enrolment == "closed":
        return OK, "it is a node", "nothing to do"
    if case.enrolment == "bound":
        return WAIT, "it is enrolled", "its stages are under way"
    if case.enrolment == "revoked":
        return LOOK, "it is revoked", f"if that is over: kubeseed node rearm {case.out} {case.name}"
    if case.enrolment == "pending":
        advice = f"compare its console, then: kubeseed approve {case.out} {case.name} {case.node['fingerprint']}"
        return LOOK, "it asks for approval", advice
    return None


def _installing(case: Case) -> Finding | None:
    """Its installer is at work, or said why it is not; what the node was before does not count any more."""
    if case.state == "failed":
        cause = str(case.boot["cause"])
        return LOOK, "its installer stopped", case.causes.get(cause, cause).format(out=case.out, node=case.name)
    if case.state == "installing":
        return WAIT, "its installer writes the disk", "wait; if it does not end, look at its console"
    return None


def _armed(case: Case) -> Finding | None:
    if case.state != "armed":
        return None
    until = time.strftime("%H:%M", time.localtime(case.boot["until"]))
    return WAIT, "it is to be installed anew", f"restart the machine before {until}, with the network first"


def _installed(case: Case) -> Finding | None:
    if case.state == "installed":
        advice = "it has not enrolled yet: wait for its first boot, then look at its console and at its boot order"
        return LOOK, "it is installed", advice
    if case.state == "live":
        return LOOK, "its live system runs", "it has not enrolled yet: wait, then look at its console"
    return None


def _refused(case: Case) -> Finding | None:
    if case.trace.decision == "refused":
        return LOOK, "it asked the coordinator", f"refused: {case.trace.reason}"
    if case.trace.decision == "unknown":
        return LOOK, "it asked the coordinator", f"not in the spec; kubeseed status {case.out} shows the line for it"
    return None


def _offered(case: Case) -> Finding | None:
    if case.state != "offered" and case.trace.decision not in {"install", "live"}:
        return None
    if not case.trace.decision:
        return LOOK, "it was offered its installation", "its installer does not report: look at its console"
    if case.trace.assets == 0:
        return LOOK, "it was offered its installation", "it fetched no kernel: look at its console and its memory"
    if case.trace.assets == 1:
        return LOOK, "it fetched the kernel", "the initramfs did not arrive: look at its console and its memory"
    advice = "its installer does not report: look at its console; its network card may need another kernel or firmware"
    return LOOK, "it fetched kernel and initramfs", advice


def _local(case: Case) -> Finding | None:
    if case.trace.decision != "local":
        return None
    advice = f"{case.trace.reason}; anew: kubeseed node reinstall {case.out} {case.name}"
    return OK, "it was sent to its local disk", advice


def _script(case: Case) -> Finding | None:
    if not case.trace.ipxe:
        return None
    advice = "it did not reach the coordinator: is coordinator.bootUrl right, and no firewall between?"
    if not case.answers:
        advice = f"nobody answered: kubeseed serve {case.out}"
    return LOOK, "it runs iPXE", advice


def _program(case: Case) -> Finding | None:
    trace = case.trace
    if trace.tftp_fault:
        return LOOK, "it asked for iPXE", f"TFTP: {trace.tftp_fault}; kubeseed pxe run fills the folder"
    if any(file in _BOOT_PROGRAMS for file in trace.files):
        advice = "iPXE does not start or gets no address: is Secure Boot off, and does the switch port forward at once?"
        return LOOK, "it was given iPXE", advice
    return None


def _address(case: Case) -> Finding | None:
    if not case.trace.answered:
        return None
    advice = (
        "it does not fetch iPXE: does its firmware boot from the network at all, is UDP 69 open, "
        "and does no other DHCP server name a boot file?"
    )
    return LOOK, f"it has an answer{f' and address {case.trace.ip}' if case.trace.ip else ''}", advice


def _asked(case: Case) -> Finding | None:
    trace = case.trace
    if not trace.asked:
        return None
    if trace.refusal == "ignored":
        return LOOK, "it asks for an address", "its MAC is not in the spec: add it, or set pxe.enrolUnknown"
    if trace.refusal:
        return LOOK, "it asks for an address", f"dnsmasq: {trace.refusal}; give pxe.range, or the node's MAC"
    return LOOK, "it asks for an address", "dnsmasq does not answer: another DHCP server may, then set pxe.mode proxy"


def _silent(case: Case) -> Finding:
    advice = (
        "nothing was heard of it: is it on, in this network, with this MAC, and is the network first in its boot order?"
    )
    return LOOK, "-", advice


_RULES: tuple[Rule, ...] = (
    _installing, _armed, _node, _installed, _refused, _offered, _local, _script, _program, _address, _asked, _silent,
)  # fmt: skip
