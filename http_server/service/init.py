"""Knows that there is exactly one init: claimed, its keys delivered, complete; each step durable before its answer."""

from dataclasses import replace

from http_server.errors import ApiError, conflict
from http_server.form import decode_body, matching, parse_digest, parse_form, whole_number
from http_server.model import Claim, InitState
from http_server.ports import Transaction
from http_server.service.authority import ca_digest
from http_server.service.context import Context, current_claim, event, require_live
from http_server.wire import Answer, Call, give, say

FIELDS = frozenset({"epoch", "ca_digest", "etcd_cluster"})
parse_etcd_cluster = matching(r"[0-9a-f]{0,32}", "an etcd cluster id in hexadecimal, or empty")


def claim(context: Context, call: Call) -> Answer:
    """POST /v1/init/claim: the newest epoch and its state. Only a new epoch changes hands, never by time-out."""
    parse_form(decode_body(call.body), frozenset())

    def decide(transaction: Transaction) -> Claim | ApiError:
        require_live(context, transaction, call)
        current = current_claim(transaction)
        if current.state is InitState.NONE:
            current = replace(current, state=InitState.CLAIMED, node=call.caller.node)
            transaction.put_claim(current)
            transaction.record(event(call, "init-claimed", epoch=str(current.epoch)))
        if current.node != call.caller.node:
            return conflict(
                "claimed-by-another", "another node holds the init; the operator decides: kubeseed reassign-init"
            )
        return current

    held = context.decide(decide)
    return give({"epoch": held.epoch, "state": held.state})


def complete(context: Context, call: Call) -> Answer:
    """POST /v1/init/complete: the cluster exists under this epoch's CA. The same values give the same answer."""
    form = parse_form(decode_body(call.body), FIELDS)
    epoch = form.one("epoch", whole_number(1, 10**9))
    digest = form.one("ca_digest", parse_digest)
    etcd_cluster = form.one("etcd_cluster", parse_etcd_cluster, "")

    def decide(transaction: Transaction) -> str | ApiError:
        require_live(context, transaction, call)
        current = current_claim(transaction)
        if _same(current, call.caller.node, epoch, digest, etcd_cluster):
            return "complete"
        refusal = _refusal(context, transaction, call, current, epoch, digest)
        if refusal:
            alarm = event(call, "init-refused", outcome="alarm", reason=refusal.code, epoch=str(epoch))
            context.alarm(transaction, alarm)
            return refusal
        wanted = replace(current, state=InitState.COMPLETE, ca_digest=digest, etcd_cluster=etcd_cluster)
        transaction.put_claim(wanted)
        transaction.record(event(call, "init-complete", epoch=str(epoch), ca=digest, etcd_cluster=etcd_cluster))
        return "complete"

    answer = say(context.decide(decide))
    context.bell.ring()
    return answer


def _same(current: Claim, node: str, epoch: int, digest: str, etcd_cluster: str) -> bool:
    """A repeat: same node, epoch and CA, and no other etcd (a node that cannot ask its etcd just now sends nothing)."""
    told = (current.node, current.epoch, current.ca_digest) == (node, epoch, digest)
    etcd = {current.etcd_cluster, etcd_cluster} - {""}
    return current.state is InitState.COMPLETE and told and len(etcd) <= 1


def _refusal(
    context: Context, transaction: Transaction, call: Call, current: Claim, epoch: int, digest: str
) -> ApiError | None:
    if epoch != current.epoch or current.node != call.caller.node:
        return conflict(
            "other-epoch", f"the init of epoch {current.epoch} counts, and this node does not hold it with these words"
        )
    if current.state is not InitState.PKI_DELIVERED:
        return conflict("wrong-state", f"the init is {current.state}, it completes once, after its keys were delivered")
    if digest != ca_digest(context.keyset(transaction, epoch)):
        return conflict("other-ca", "the cluster was made under another CA than this epoch's")
    return None
