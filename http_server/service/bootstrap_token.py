"""Knows bootstrap tokens: one node, half an hour, the same again while it lives, dead when the node has joined."""

import secrets
import string
from dataclasses import replace

from http_server.model import Token
from http_server.ports import Transaction
from http_server.secret import Secret
from http_server.service.context import Context, event
from http_server.settings import TOKEN_LIFE, TOKEN_SPARE
from http_server.wire import Call

ALPHABET = string.ascii_lowercase + string.digits  # kubeadm: [a-z0-9]{6}.[a-z0-9]{16}
ID_LENGTH, SECRET_LENGTH = 6, 16


def _letters(count: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(count))


def token_for(context: Context, transaction: Transaction, call: Call, epoch: int) -> Token:
    """The node's token: the one it has while that lives and is of this epoch, else a new one, sealed in the store."""
    now = context.clock.now()
    held = transaction.token(call.caller.node)
    if held and held.epoch == epoch and held.expires - now > TOKEN_SPARE:
        return held
    kill_token(transaction, call.caller.node)
    token_id = _letters(ID_LENGTH)
    sealed = context.keyring.seal(token_id, epoch, Secret(_letters(SECRET_LENGTH).encode()))
    fresh = Token(token_id, call.caller.node, epoch, sealed, now + TOKEN_LIFE)
    transaction.put_token(fresh)
    transaction.record(event(call, "token-minted", token=token_id, epoch=str(epoch)))
    return fresh


def kill_token(transaction: Transaction, node: str) -> bool:
    """Marks the node's token as dead, if it has one; `reaper` removes it from the cluster. The caller records it."""
    held = transaction.token(node)
    if held:
        transaction.put_token(replace(held, dead=True))
    return held is not None
