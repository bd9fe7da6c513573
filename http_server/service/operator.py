"""Knows what the operator may see and decide. Its socket is private to whoever may read OUT."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from http_server.boot import is_of_this_system
from http_server.errors import ApiError, conflict
from http_server.form import decode_body, parse_fingerprint, parse_form, whole_number
from http_server.inventory import Inventory
from http_server.keyset import make_keyset
from http_server.model import AuditRow, Claim, Enrolment, EnrolmentState, InitState, Report, ReportState, Slot
from http_server.ports import Transaction, View
from http_server.secret import same
from http_server.service.backup import freshness
from http_server.service.boot_status import boot_data, sighting_data
from http_server.service.bootstrap_token import kill_token
from http_server.service.context import Context, current_claim, event, open_epoch
from http_server.service.enrol import enrolment_of
from http_server.service.restore_order import progress
from http_server.wire import Answer, Call, give, say

MOST_EVENTS = 1000
NOT_APPROVED = "other-fingerprint"
TROUBLE = frozenset({ReportState.FAILED, ReportState.STOPPED})


def status(context: Context, call: Call) -> Answer:
    """GET /status: the cluster and every node of the inventory."""
    del call
    return give(status_data(context))


def status_data(context: Context) -> dict[str, Any]:
    """The cluster and every node of the inventory, as plain data."""
    shown = context.store.read(lambda view: _status(context.inventory, view))
    strangers = [sighting_data(seen) for seen in context.sightings.all()]
    asides = {"backup": freshness(context), "restore": progress(context), "strangers": strangers}
    return {**shown, **asides}


def _status(inventory: Inventory, view: View) -> dict[str, object]:
    words: defaultdict[tuple[str, int], list[Report]] = defaultdict(list)
    boots = {boot.node: boot for boot in view.boots()}
    for report in view.reports():
        if is_of_this_system(boots.get(report.node), report.at):
            words[report.node, report.generation].append(report)
    nodes = {
        name: {
            **_node(inventory, enrolment_of(view, name, node.generation), words[name, node.generation]),
            "boot": boot_data(boots.get(name)),
        }
        for name, node in inventory.nodes.items()
    }
    held = current_claim(view)
    return {
        "cluster": inventory.cluster,
        "stages": inventory.stages,
        "init": _init(held),
        "slot": _slot(view.slot()),
        "nodes": nodes,
    }


def _init(held: Claim) -> dict[str, object]:
    return {"epoch": held.epoch, "state": held.state, "node": held.node, "etcdCluster": held.etcd_cluster}


def _slot(slot: Slot | None) -> dict[str, object] | None:
    return {"node": slot.node, "until": slot.until} if slot else None


def _node(inventory: Inventory, enrolment: Enrolment, words: Sequence[Report]) -> dict[str, object]:
    node = inventory.nodes[enrolment.node]
    return {
        "roles": node.roles,
        "address": node.address,
        "generation": node.generation,
        "state": enrolment.state,
        "fingerprint": enrolment.fingerprint,
        "facts": asdict(enrolment.facts),
        "stages": {word.stage: _stage(word) for word in words},
    }


def _stage(word: Report) -> dict[str, object]:
    """The log of a stage in trouble only: those of a thousand nodes that are well would be megabytes."""
    log = word.log if word.state in TROUBLE else ""
    return {"state": word.state, "seconds": word.seconds, "attempts": word.attempt, "at": word.at, "log": log}


def events(context: Context, call: Call) -> Answer:
    """GET /events?after=SEQ&limit=N: audit rows, oldest first."""
    query = parse_form(call.query, frozenset({"after", "limit"}))
    limit = query.one("limit", whole_number(1, MOST_EVENTS), "100")
    rows = context.store.events(query.one("after", whole_number(0, 10**12 - 1), "0"), limit)
    return give({"events": [row_data(row) for row in rows]})


def row_data(row: AuditRow) -> dict[str, object]:
    """An audit row as plain data."""
    return {"seq": row.seq, "at": row.at, **asdict(row.event), "hash": row.hash}


def known_node(context: Context, call: Call) -> str:
    """The node in the route's path, or 404."""
    node = call.path["node"]
    if node not in context.inventory.nodes:
        raise ApiError(404, "no-such-node", "the inventory has no node of that name")
    return node


def approve(context: Context, call: Call) -> Answer:
    """POST /nodes/{node}/approve: binds a pending node, when the operator read the same fingerprint on its console."""
    node = known_node(context, call)
    generation = context.inventory.nodes[node].generation
    fingerprint = parse_form(decode_body(call.body), frozenset({"fingerprint"})).one("fingerprint", parse_fingerprint)

    def decide(transaction: Transaction) -> str | ApiError:
        current = enrolment_of(transaction, node, generation)
        if current.state not in {EnrolmentState.PENDING, EnrolmentState.BOUND}:
            return conflict("not-pending", f"{node} is {current.state}: there is nothing to approve")
        if not same(fingerprint, current.fingerprint):
            transaction.record(event(call, "approve-refused", node, "alarm", reason=NOT_APPROVED))
            return conflict(NOT_APPROVED, f"{node} shows another fingerprint: this is not the machine that asks")
        if current.state is EnrolmentState.PENDING:
            transaction.put_enrolment(replace(current, state=EnrolmentState.BOUND))
            transaction.record(event(call, "enrolment-approved", node, fingerprint=fingerprint))
        return "approved"

    return say(context.decide(decide))


def revoke(context: Context, call: Call) -> Answer:
    """POST /nodes/{node}/revoke: the credential is refused from the next request on, the seed too."""
    return _set_state(context, call, EnrolmentState.REVOKED)


def rearm(context: Context, call: Call) -> Answer:
    """POST /nodes/{node}/rearm: the node may enrol again with a new credential; the one it had is dead."""
    return _set_state(context, call, EnrolmentState.ISSUED)


def _set_state(context: Context, call: Call, state: EnrolmentState) -> Answer:
    parse_form(decode_body(call.body), frozenset())
    node = known_node(context, call)
    generation = context.inventory.nodes[node].generation

    def decide(transaction: Transaction) -> str:
        kill_token(transaction, node)
        free_slot(transaction, node)
        transaction.put_enrolment(Enrolment(node, generation, state))
        transaction.record(event(call, f"enrolment-{state}", node))
        return str(state)

    answer = say(context.decide(decide))
    context.bell.ring()
    return answer


def free_slot(transaction: Transaction, node: str) -> None:
    """A node that may not join does not keep others from joining."""
    held = transaction.slot()
    if held and held.node == node:
        transaction.put_slot(None)


def reassign(context: Context, call: Call) -> Answer:
    """POST /init/reassign: a new epoch with new authorities, so nobody ever joins what a lost first master made."""
    parse_form(decode_body(call.body), frozenset())
    epoch = context.store.read(current_claim).epoch + 1
    keyset = make_keyset(epoch, context.inventory.caDays, context.clock.now())

    def decide(transaction: Transaction) -> int | ApiError:
        current = current_claim(transaction)
        if current.state is InitState.COMPLETE:
            return conflict("complete", "the cluster exists: the init cannot be given to another node any more")
        if current.epoch + 1 != epoch:
            return conflict("busy", "somebody else reassigned the init at the same moment")
        open_epoch(transaction, keyset, context.keyring)
        transaction.record(
            event(call, "init-reassigned", epoch=str(epoch), before=f"{current.state} {current.node}".strip())
        )
        return epoch

    return give({"epoch": context.decide(decide)})
