"""Knows when a node may join, and writes its discovery.conf. Waiting is asynchronous and holds no thread."""

import asyncio
import base64
from dataclasses import dataclass

import yaml

from http_server.daemon import in_daemon
from http_server.form import parse_form, whole_number
from http_server.inventory import AuthorityName, Inventory
from http_server.model import InitState, Keyset, Slot, Token
from http_server.ports import KubernetesUnavailableError, Transaction
from http_server.secret import Secret
from http_server.service.bootstrap_token import token_for
from http_server.service.context import Context, current_claim, event, require_live
from http_server.settings import SLOT_LEASE
from http_server.wire import Answer, Call, later

LOOK_AGAIN = 5.0  # seconds: what no bell rings for (an API server that came up, a lease that ran out)
RETRY_SECONDS = 5
# Where stage `join` keeps what it got from POST /v1/certificates/kubelet-client (docs/protocol.md).
CLIENT_CERTIFICATE = "/etc/kubeseed/kubelet-client.crt"
CLIENT_KEY = "/etc/kubeseed/kubelet-client.key"


@dataclass(frozen=True, slots=True)
class Turn:
    """The node may join now: the keys of the epoch and, in mode `token`, its token."""

    keyset: Keyset
    token: Token | None


async def join(context: Context, call: Call) -> Answer:
    """GET /v1/join?wait=SECONDS: discovery.conf, or 202 when it is not this node's turn within that time."""
    query = parse_form(call.query, frozenset({"wait"}))
    wait = query.one("wait", whole_number(0, int(context.settings.limits.longest_wait)), "0")
    loop = asyncio.get_running_loop()
    end = loop.time() + wait
    while True:
        ring = context.bell.listen()
        answer = await attempt(context, call)
        left = end - loop.time()
        if answer.status != 202 or left <= 0 or context.bell.stopping:
            return answer
        await context.bell.wait(ring, min(left, LOOK_AGAIN))


async def attempt(context: Context, call: Call) -> Answer:
    """One look: discovery.conf when everything is there, else 202."""
    turn = await context.store.transacted(lambda transaction: _decide(context, call, transaction))
    if isinstance(turn, str):
        return later(turn, RETRY_SECONDS)
    if turn.token is None:
        return Answer(body=_document(context.inventory, turn.keyset, _files()))
    secret = context.keyring.unseal(turn.token.id, turn.token.epoch, turn.token.sealed)
    try:
        async with context.kubernetes_gate:
            await in_daemon(context.kubernetes.ensure_token, turn.token, secret)
    except KubernetesUnavailableError:
        return later("waiting for an API server", RETRY_SECONDS)
    return Answer(body=_document(context.inventory, turn.keyset, _bearer(turn.token, secret)))


def _decide(context: Context, call: Call, transaction: Transaction) -> Turn | str:
    require_live(context, transaction, call)
    held = current_claim(transaction)
    if held.state is not InitState.COMPLETE:
        return "waiting for the first master"
    if context.inventory.nodes[call.caller.node].master and not _take_slot(context, transaction, call):
        return "waiting for another master to join"
    minted = token_for(context, transaction, call, held.epoch) if context.inventory.join == "token" else None
    return Turn(context.keyset(transaction, held.epoch), minted)


def _take_slot(context: Context, transaction: Transaction, call: Call) -> bool:
    """Leases the slot to this master, or renews its lease; False while another master holds it."""
    now = context.clock.now()
    held = transaction.slot()
    if held and held.node != call.caller.node and held.until > now:
        return False
    transaction.put_slot(Slot(call.caller.node, now + SLOT_LEASE))
    if not held or held.node != call.caller.node:
        transaction.record(event(call, "slot-leased", **({"after": held.node} if held else {})))
    else:
        transaction.record(event(call, "slot-renewed"))
    return True


def _files() -> dict[str, str]:
    return {"client-certificate": CLIENT_CERTIFICATE, "client-key": CLIENT_KEY}


def _bearer(token: Token, secret: Secret) -> dict[str, str]:
    return {"token": f"{token.id}.{secret.reveal().decode()}"}


def _document(inventory: Inventory, keyset: Keyset, user: dict[str, str]) -> bytes:
    """A kubeconfig as kubeadm's `discovery.file` reads it (clientcmd v1 Config)."""
    authority = base64.b64encode(keyset.certificates[AuthorityName.KUBERNETES]).decode()
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "kubernetes", "cluster": {"server": inventory.endpoint, "certificate-authority-data": authority}}
        ],
        "users": [{"name": "kubeseed", "user": user}],
        "contexts": [{"name": "kubeseed", "context": {"cluster": "kubernetes", "user": "kubeseed"}}],
        "current-context": "kubeseed",
    }
    return yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, encoding="utf-8")
