"""Knows how dead bootstrap tokens leave the cluster, even when no API server answered at the moment they died."""

from http_server.model import AuditEvent
from http_server.ports import Transaction
from http_server.service.context import Context


def reap_tokens(context: Context) -> int:
    """One round: deletes every dead or expired token of the cluster, then forgets it; returns how many there were."""
    now = context.clock.now()
    dead = [token for token in context.store.read(lambda view: view.tokens()) if token.dead or token.expires < now]
    for token in dead:
        context.kubernetes.delete_token(token)
        _forget(context, token.id, AuditEvent("token-deleted", token.node, "coordinator", detail={"token": token.id}))
    return len(dead)


def _forget(context: Context, token_id: str, event: AuditEvent) -> None:
    def decide(transaction: Transaction) -> None:
        transaction.drop_token(token_id)
        transaction.record(event)

    context.store.transact(decide)
