"""Knows how an operator orders an installation and how a machine reports it; the latch between them is durable."""

from dataclasses import replace

from http_server.boot import UNDER_WAY, Boot, BootState
from http_server.errors import ApiError, conflict
from http_server.form import Form, decode_body, matching, parse_form, parse_node, whole_number
from http_server.model import Enrolment, EnrolmentState
from http_server.ports import Transaction
from http_server.secret import same
from http_server.service.boot import machine_event
from http_server.service.bootstrap_token import kill_token
from http_server.service.context import Context, event
from http_server.service.enrol import enrolment_of
from http_server.service.operator import free_slot, known_node
from http_server.wire import Answer, Call, say

REPORT = frozenset({"node", "run", "state", "cause"})
# What templates/pxe/initramfs reports, and what it means for the latch.
STATES = {
    "started": BootState.INSTALLING,
    "failed": BootState.FAILED,
    "installed": BootState.INSTALLED,
    "live": BootState.LIVE,
}
CAUSES = (
    "", "order", "no-disk", "many-disks", "small-disk", "full-disk", "download", "damaged", "write", "digest", "seed",
    "no-root", "live",
)  # fmt: skip
# A distribution's installer may be heard only once it is done.
OVERWRITES = frozenset({BootState.INSTALLING, BootState.INSTALLED})
WINDOW_SECONDS, LONGEST_WINDOW = 3600, 7 * 86400

parse_run = matching(r"[0-9a-f]{32}", "32 hexadecimal digits")
parse_state = matching("|".join(STATES), f"one of {', '.join(STATES)}")
parse_cause = matching("|".join(CAUSES), "a known cause")


def report(context: Context, call: Call) -> Answer:
    """POST /boot/report: the installer's word. It holds only the number of its own run, and only until it is done."""
    form = parse_form(decode_body(call.body), REPORT)
    name, run = form.one("node", parse_node), form.one("run", parse_run)

    def decide(transaction: Transaction) -> str | ApiError:
        boot = transaction.boot(name)
        node = context.inventory.nodes.get(name)
        if not boot or not node or boot.generation != node.generation or not same(run, boot.run):
            return conflict("other-run", "no installation of this number is under way")
        return _advance(context, transaction, call, boot, form)

    return say(context.decide(decide))


def _advance(context: Context, transaction: Transaction, call: Call, boot: Boot, form: Form) -> str | ApiError:
    state, cause = STATES[form.one("state", parse_state)], form.one("cause", parse_cause, "")
    if boot.state is state and boot.cause == cause:
        return str(state)
    if boot.state not in UNDER_WAY:
        return conflict("over", f"this installation is {boot.state} already")
    current = enrolment_of(transaction, boot.node, boot.generation)
    if current.state is EnrolmentState.REVOKED:
        return conflict("revoked", f"{boot.node} is revoked")
    if state in OVERWRITES and current.state is not EnrolmentState.ISSUED:
        _forget_enrolment(transaction, call, boot)
    transaction.put_boot(replace(boot, state=state, cause=cause, since=context.clock.now()))
    detail = {"cause": cause} if cause else {}
    transaction.record(machine_event(call, f"boot-{state}", boot.node, boot.machine, run=boot.run, **detail))
    return str(state)


def _forget_enrolment(transaction: Transaction, call: Call, boot: Boot) -> None:
    """The disk that holds the node's credential is being overwritten: it may enrol anew, and the old one is dead."""
    kill_token(transaction, boot.node)
    free_slot(transaction, boot.node)
    transaction.put_enrolment(Enrolment(boot.node, boot.generation, EnrolmentState.ISSUED))
    transaction.record(event(call, "enrolment-issued", boot.node, reason="reinstalled"))


def reinstall(context: Context, call: Call) -> Answer:
    """POST /nodes/{node}/reinstall: its machine is installed anew, once, when it boots over the network in time."""
    form = parse_form(decode_body(call.body), frozenset({"seconds"}))
    seconds = form.one("seconds", whole_number(60, LONGEST_WINDOW), str(WINDOW_SECONDS))
    name = known_node(context, call)
    node = context.inventory.nodes[name]
    if node.boot is None:
        raise conflict(
            "no-network-boot",
            f"{name} is not installed over the network; a new seed: kubeseed generate SPEC -o OUT --reinstall {name}",
        )
    if node.boot.deploy == "live":
        raise conflict("live", f"{name} runs live: restarting the machine is enough")
    now = context.clock.now()
    armed = Boot(name, node.generation, BootState.ARMED, wipe=True, until=now + seconds, since=now)

    def decide(transaction: Transaction) -> str:
        transaction.put_boot(armed)
        transaction.record(event(call, "boot-armed", name, seconds=str(seconds)))
        return f"{name} is installed anew if its machine boots over the network within {seconds // 60} minutes"

    return say(context.decide(decide))
