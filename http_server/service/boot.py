"""Knows what a machine is told that boots over plain HTTP, and remembers what it was offered."""

import logging
import re
import secrets
from collections.abc import Callable, Mapping

from http_server.assets import Image, plain_file
from http_server.boot import Boot, Choice, Decision, Machine, decide, identify, offer
from http_server.form import matching, parse_form, parse_mac, parse_text
from http_server.inventory import UUID, Node
from http_server.model import AuditEvent
from http_server.ports import Transaction, View
from http_server.service.context import Context, event
from http_server.service.enrol import enrolment_of
from http_server.wire import Answer, Call

log = logging.getLogger("kubeseed.boot")

QUESTION = frozenset({"mac", "uuid", "serial", "arch", "platform"})
GIVEN = frozenset({Choice.INSTALL, Choice.LIVE})
# Nothing that iPXE would expand, split or run.
VALUE = re.compile(r"[A-Za-z0-9 .,:_-]*", re.ASCII)
parse_word = matching(r"[a-z0-9_-]{0,16}", "a short word")


def script(context: Context, call: Call) -> Answer:
    """GET /boot/script: what this machine does now. Strangers and installed machines cost no write."""
    machine = _parse_machine(call)
    match = identify(context.inventory, machine)
    if not match.node:
        choice = Choice.REFUSE if match.refused else Choice.UNKNOWN
        return _answer(context, call, machine, Decision(choice, match.refused or "it is not in the spec"))
    decision = context.store.read(lambda view: _decision(context, view, match.node, machine))
    if decision.choice not in GIVEN and not decision.alarm:
        return _answer(context, call, machine, decision, match.node)
    return _give(context, call, machine, match.node)


def _parse_machine(call: Call) -> Machine:
    form = parse_form(call.query, QUESTION)
    uuid = form.one("uuid", parse_text, "").lower()
    form.one("arch", parse_word, "")
    return Machine(
        mac=form.one("mac", parse_mac),
        product_uuid=uuid if re.fullmatch(UUID, uuid) else "",
        serial=form.one("serial", parse_text, ""),
        platform=form.one("platform", parse_word, ""),
    )


def _decision(context: Context, view: View, name: str, machine: Machine) -> Decision:
    node = context.inventory.nodes[name]
    enrolment = enrolment_of(view, name, node.generation)
    return decide(name, node, view.boot(name), machine, enrolment.state, context.clock.now())


def _give(context: Context, call: Call, machine: Machine, name: str) -> Answer:
    """Offers the installation or the live system, if its image is there and the decision still stands."""
    node = context.inventory.nodes[name]
    image = context.images.images().get(node.boot.image) if node.boot else None
    lacking = _lacking(node, image)

    def settle(transaction: Transaction) -> tuple[Decision, Boot | None]:
        decision = _decision(context, transaction, name, machine)
        if decision.alarm:
            context.alarm(transaction, machine_event(call, "boot-conflict", name, machine, outcome="alarm"))
        if decision.choice not in GIVEN:
            return decision, None
        if lacking:
            return Decision(Choice.REFUSE, lacking), None
        return decision, _offer(context, transaction, call, name, machine)

    decision, boot = context.store.transact(settle)
    values = {**_values(boot, image), **_MORE[node.boot.deploy](image)} if boot and image and node.boot else {}
    return _answer(context, call, machine, decision, name, values)


def _lacking(node: Node, image: Image | None) -> str:
    """What keeps the boot server from giving the node its image; empty when nothing does."""
    wanted = node.boot.image if node.boot else ""
    if image is None:
        return f"there is no image {wanted} on the boot server"
    parts: dict[str, object] = {"kernel": image.kernel, "initrd": image.initrd}
    if node.boot and node.boot.deploy == "image":
        parts["disk"] = image.disk
    if node.boot and node.boot.deploy == "live":
        parts["squashfs"] = image.squashfs
    missing = [part for part, blob in parts.items() if blob is None]
    return f"the image {wanted} has no {', '.join(missing)}" if missing else ""


def _offer(context: Context, transaction: Transaction, call: Call, name: str, machine: Machine) -> Boot:
    before, run = transaction.boot(name), secrets.token_hex(16)
    boot = offer(name, context.inventory.nodes[name], before, machine, run, context.clock.now())
    if boot != before:
        transaction.put_boot(boot)
        transaction.record(machine_event(call, "boot-offered", name, machine, run=boot.run))
    return boot


def machine_event(
    call: Call, action: str, name: str, machine: Machine, outcome: str = "ok", **detail: str
) -> AuditEvent:
    """An audit event about a machine, with what it says of itself."""
    facts = {"mac": machine.mac, "product_uuid": machine.product_uuid, "serial": machine.serial}
    return event(call, action, name, outcome, **{what: said for what, said in facts.items() if said}, **detail)


def _values(boot: Boot, image: Image) -> Mapping[str, str]:
    """What only the coordinator knows, for templates/pxe/ipxe/node.ipxe.j2."""
    blobs = {"kernel": image.kernel, "initrd": image.initrd}
    values = {"run": boot.run, "wipe": "any" if boot.wipe else "blank"}
    return values | {part: blob.sha256 for part, blob in blobs.items() if blob}


def _disk_values(image: Image) -> Mapping[str, str]:
    disk = image.disk
    if disk is None:
        return {}
    size = str(disk.raw.size)
    return {"image": disk.blob.sha256, "digest": disk.raw.sha256, "size": size, "format": disk.format}


def _live_values(image: Image) -> Mapping[str, str]:
    root = image.squashfs
    return {"image": root.sha256, "digest": root.sha256, "size": str(root.size), "format": "raw"} if root else {}


_MORE: Mapping[str, Callable[[Image], Mapping[str, str]]] = {
    "image": _disk_values,
    "live": _live_values,
    "installer": lambda image: {},
}


def _answer(
    context: Context,
    call: Call,
    machine: Machine,
    decision: Decision,
    name: str = "",
    values: Mapping[str, str] | None = None,
) -> Answer:
    """The script of the decision. Every value in it is checked again, whoever it came from (CVE-2026-46447)."""
    given = decision.choice in GIVEN
    if given:
        context.sightings.forget(machine)
    elif decision.choice is not Choice.LOCAL:
        context.sightings.see(machine, call.peer, decision.reason, context.clock.now())
    log.info(
        "boot mac=%s product_uuid=%s peer=%s node=%s decision=%s reason=%s",
        machine.mac, machine.product_uuid or "-", call.peer, name or "-", decision.choice, decision.reason,
    )  # fmt: skip
    file = name if given else f"_{decision.choice}"
    body = plain_file(context.settings.out.pxe / "ipxe" / f"{file}.ipxe").read_bytes()
    told = {"reason": decision.reason, **(values or {})}
    lines = [f"set kubeseed-{key} {_checked(value)}" for key, value in told.items()]
    return Answer(body="\n".join(["#!ipxe", *lines, ""]).encode() + body)


def _checked(value: str) -> str:
    if not VALUE.fullmatch(value):
        raise ValueError("a value has no place in an iPXE script")
    return value
