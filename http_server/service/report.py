"""Knows what a node's report changes: what `status` shows, and at two points the node's rights."""

from dataclasses import replace

from http_server.errors import ApiError, invalid
from http_server.form import Form, decode_body, matching, parse_form, parse_log, parse_seconds, whole_number
from http_server.model import EnrolmentState, Report, ReportState
from http_server.ports import Transaction
from http_server.service.bootstrap_token import kill_token
from http_server.service.context import Context, event, require_live
from http_server.wire import Answer, Call, say

FIELDS = frozenset({"stage", "state", "seconds", "attempt", "log"})
ENDS = frozenset({ReportState.DONE, ReportState.SKIPPED, ReportState.STOPPED})
parse_stage = matching(r"[a-z0-9][a-z0-9-]{0,62}", "a stage of the inventory")


async def report(context: Context, call: Call) -> Answer:
    """POST /v1/reports: keeps the newest word on a stage."""
    word = _parse(context, call)

    def decide(transaction: Transaction) -> str:
        require_live(context, transaction, call)
        before = transaction.report(word.node, word.generation, word.stage)
        transaction.put_report(word)
        if word.state in ENDS and (before is None or before.state is not word.state):
            outcome = "alarm" if word.state is ReportState.STOPPED else "ok"
            transaction.record(event(call, f"stage-{word.state}", outcome=outcome, stage=word.stage))
        elif word.state is ReportState.FAILED:
            context.alarm(transaction, event(call, "stage-failed", outcome="failed", stage=word.stage))
        return _follow(transaction, call, word)

    followed = await context.decided(decide)
    if followed:
        context.bell.ring()
    return say("noted")


def _parse(context: Context, call: Call) -> Report:
    form = parse_form(decode_body(call.body), FIELDS)
    node = context.inventory.nodes[call.caller.node]
    stage = form.one("stage", parse_stage)
    if stage not in context.inventory.stages:
        raise invalid("stage", f"one of {', '.join(context.inventory.stages)}")
    seconds, attempt = form.one("seconds", parse_seconds, "0"), form.one("attempt", whole_number(0, 10**9), "1")
    log = form.one("log", parse_log, "")[-context.settings.limits.log_tail :]
    return Report(call.caller.node, node.generation, stage, _state(form), seconds, attempt, log, context.clock.now())


def _state(form: Form) -> ReportState:
    try:
        return form.one("state", ReportState)
    except ApiError:
        raise invalid("state", f"one of {', '.join(ReportState)}") from None


def _follow(transaction: Transaction, call: Call, word: Report) -> str:
    """`join done` frees the slot and kills the token; `scrub done` ends the bootstrap: the seed's secret is dead."""
    if word.state is not ReportState.DONE:
        return ""
    if word.stage == "join":
        return _joined(transaction, call)
    if word.stage == "scrub":
        return _close(transaction, call)
    return ""


def _joined(transaction: Transaction, call: Call) -> str:
    killed = kill_token(transaction, call.caller.node)
    slot = transaction.slot()
    if slot and slot.node == call.caller.node:
        transaction.put_slot(None)
        killed = True
    if killed:
        transaction.record(event(call, "join-released"))
    return "joined"


def _close(transaction: Transaction, call: Call) -> str:
    enrolment = transaction.enrolment(call.caller.node)
    if enrolment and enrolment.state is EnrolmentState.BOUND:
        transaction.put_enrolment(replace(enrolment, state=EnrolmentState.CLOSED))
        transaction.record(event(call, "enrolment-closed"))
    return "closed"
