"""Knows how a secret, or an operator's word, becomes a bound credential. A lost answer strands nobody."""

import re
from dataclasses import dataclass, replace

from http_server.boot import vouches
from http_server.errors import ApiError, conflict, unauthorised
from http_server.form import (
    Form,
    decode_body,
    matching,
    parse_digest,
    parse_form,
    parse_mac,
    parse_node,
    parse_text,
    whole_number,
)
from http_server.inventory import Node
from http_server.model import Enrolment, EnrolmentState, Facts, Scheme
from http_server.ports import Transaction, View
from http_server.service.context import Context, event
from http_server.wire import Answer, Call, later, say

ONCE = frozenset({"node", "generation", "digest", "product_uuid", "serial", "arch", "os", "kernel"})
PENDING_SECONDS = 5
SHARED_MACS = frozenset({"ee:ee:ee:ee:ee:ee"})  # every interface of calico, on every node
parse_arch = matching(r"[0-9A-Za-z_-]{0,32}", "a machine name like x86_64")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a node asks for: to be bound to the credential with this digest."""

    generation: int
    digest: str
    facts: Facts


async def enrol(context: Context, call: Call) -> Answer:
    """POST /v1/enrol: 200 bound, 202 pending, 401, 409 bound to another digest."""
    _limit(context, call)
    wish = _parse(call)
    node = context.inventory.nodes[call.caller.node]
    if wish.generation != node.generation:
        raise conflict("other-generation", f"the seed is of another generation than {node.generation}: make a new seed")
    state = await context.decided(lambda transaction: _decide(context, transaction, call, node, wish))
    return (
        say("bound") if state is EnrolmentState.BOUND else later("waiting for the operator's approval", PENDING_SECONDS)
    )


def _limit(context: Context, call: Call) -> None:
    wait = context.enrol_rate.take(call.caller.node)
    if wait:
        raise ApiError(429, "too-many-requests", "this enrolment asks too often", retry_after=int(wait) + 1)


def _parse(call: Call) -> Wish:
    form = parse_form(decode_body(call.body), ONCE, frozenset({"mac"}))
    if form.one("node", parse_node) != call.caller.node:
        raise unauthorised("the form names another node than the header")
    return Wish(form.one("generation", whole_number(1, 10**9)), form.one("digest", parse_digest), _facts(form))


def _facts(form: Form) -> Facts:
    return Facts(
        macs=tuple(sorted(set(form.many("mac", parse_mac)))),
        product_uuid=form.one("product_uuid", parse_text, "").lower(),
        serial=form.one("serial", parse_text, ""),
        arch=form.one("arch", parse_arch, ""),
        os=form.one("os", parse_text, ""),
        kernel=form.one("kernel", parse_text, ""),
    )


def _decide(
    context: Context, transaction: Transaction, call: Call, node: Node, wish: Wish
) -> EnrolmentState | ApiError:
    current = enrolment_of(transaction, call.caller.node, node.generation)
    match current.state:
        case EnrolmentState.CLOSED | EnrolmentState.REVOKED:
            return unauthorised(f"node {current.node}: enrolment is {current.state}")
        case EnrolmentState.BOUND if current.digest == wish.digest:
            return EnrolmentState.BOUND
        case EnrolmentState.PENDING if current.digest == wish.digest:
            return current.state
        case EnrolmentState.PENDING if call.caller.scheme is Scheme.SEALED:
            # the secret is a proof, a pending wish is none
            return _accept(context, transaction, call, node, wish, current)
        case EnrolmentState.ISSUED:
            return _accept(context, transaction, call, node, wish, current)
    context.alarm(transaction, event(call, "seed-conflict", outcome="alarm", state=current.state, digest=wish.digest))
    return conflict(
        "bound-to-another", "the seed is bound to another credential; the operator decides: kubeseed node rearm"
    )


def _accept(
    context: Context, transaction: Transaction, call: Call, node: Node, wish: Wish, current: Enrolment
) -> EnrolmentState:
    """Binds a sealed seed, or a worker that was just installed, on its own machine; everything else waits."""
    sealed = call.caller.scheme is Scheme.SEALED
    twins = _twins(context, transaction, current.node, wish.facts)
    oddities = _oddities(node, wish.facts) | (twins if node.checkUniqueIds else {})
    proven = sealed or _vouched(context, transaction, node, current.node, wish.facts)
    state = EnrolmentState.PENDING if oddities or not proven else EnrolmentState.BOUND
    fresh = replace(current, state=state, digest=wish.digest, facts=wish.facts)
    transaction.put_enrolment(fresh)
    proof = str(call.caller.scheme) if sealed or not proven else "trusted-network"
    detail = {"fingerprint": fresh.fingerprint, "generation": str(fresh.generation), "scheme": proof}
    outcome = "alarm" if oddities else "ok"
    transaction.record(event(call, f"enrolment-{state}", outcome=outcome, **detail, **(oddities | twins)))
    return state


def _vouched(context: Context, view: View, node: Node, name: str, facts: Facts) -> bool:
    """Whether the spec trusts the network for this worker, and this machine was just installed as it."""
    seconds = context.inventory.trustSeconds
    boot = view.boot(name)
    if not seconds or not node.only_worker or not boot or boot.generation != node.generation:
        return False
    return vouches(boot, facts, context.clock.now(), seconds)


def _oddities(node: Node, facts: Facts) -> dict[str, str]:
    """How the machine differs from the one in the spec: then only the operator lets it in."""
    marks = {"product_uuid": (node.productUuid, facts.product_uuid), "serial": (node.serial, facts.serial)}
    found = {what: "not that of the inventory" for what, (known, said) in marks.items() if known and known != said}
    if node.macs and not set(node.macs) & set(facts.macs):
        found["macs"] = "none of the inventory"
    return found


def _twins(context: Context, view: View, name: str, facts: Facts) -> dict[str, str]:
    """Nodes of the cluster with the same product_uuid or MAC address, both of which kubeadm wants to be unique.

    Who is not let in yet does not count: anybody could keep a node out by claiming to be its twin.
    """
    known = context.inventory.nodes.keys() - {name}
    macs = set(facts.macs) - SHARED_MACS
    like = view.enrolments_naming(macs | ({facts.product_uuid} if _tells(facts.product_uuid) else set()))
    others = [other for other in like if other.live and other.node in known]
    same_uuid = [
        other.node for other in others if _tells(facts.product_uuid) and facts.product_uuid == other.facts.product_uuid
    ]
    same_mac = [other.node for other in others if macs & set(other.facts.macs)]
    found = {"same product_uuid": same_uuid, "same MAC address": same_mac}
    return {what: f"as {', '.join(nodes)}" for what, nodes in found.items() if nodes}


def _tells(uuid: str) -> bool:
    """Whether it says something: some firmware has nothing but zeros."""
    return re.search(r"[1-9a-f]", uuid) is not None


def enrolment_of(view: View, node: str, generation: int) -> Enrolment:
    """The enrolment of this generation; a new generation starts as issued, whatever became of the one before."""
    found = view.enrolment(node)
    if found and found.generation == generation:
        return found
    return Enrolment(node, generation)
