"""Knows how the keyring's key is replaced without a moment in which something cannot be opened.

First the new key stands beside the old one, then everything is sealed anew, then the old one goes. Stopped anywhere,
the command goes on where it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from http_server.errors import StartError
from http_server.keyring import AesKeyring, KeyringError, key_text, make_key, parse_keys
from http_server.model import AuditEvent, Token
from http_server.order import OrderFile
from http_server.ports import Keyring, Store, Transaction
from http_server.private_file import check_private, replace_durably
from http_server.secret import Secret
from http_server.service.context import current_claim
from http_server.service.restore_order import SEALED_NAME
from http_server.settings import Out
from http_server.shelf import Shelf

TOGETHER = 50


def prepare(out: Out) -> tuple[Secret, ...]:
    """The keyring's file with a new key before the old one; as it is when a replacement is under way already."""
    path = out.keyring_key
    if not path.exists():
        raise StartError(
            f"{path} is missing", "rekey works on the file: put the key there, and make the credential anew after it"
        )
    check_private(path)
    keys = parse_keys(path)
    if len(keys) == 1:
        keys = (make_key(), *keys)
        replace_durably(path, key_text(keys))
    return keys


def rekey(out: Out, store: Store, cluster: str, shelf: Shelf | None) -> str:
    """Seals everything under the new key alone, proves that it opens, and forgets the old key."""
    keys = prepare(out)
    both, fresh = AesKeyring(keys, cluster), AesKeyring(keys[:1], cluster)
    epochs = range(1, store.read(current_claim).epoch + 1)
    store.transact(lambda transaction: _seal_keys(transaction, epochs, both))
    tokens = store.read(lambda view: view.tokens())
    for start in range(0, len(tokens), TOGETHER):
        chunk = tokens[start : start + TOGETHER]
        store.transact(lambda transaction, chunk=chunk: _seal_tokens(transaction, chunk, both))  # type: ignore[misc]
    _seal_order(OrderFile(out.restore_order), both)
    if shelf:
        shelf.seal_anew(both)
    _prove(store, epochs, fresh)
    replace_durably(out.keyring_key, key_text(keys[:1]))
    return f"{out.keyring_key} is new, and everything in the store is sealed under it; the former key is gone"


def _anew(keyring: Keyring, name: str, epoch: int, sealed: bytes) -> bytes:
    return keyring.seal(name, epoch, keyring.unseal(name, epoch, sealed))


def _seal_keys(transaction: Transaction, epochs: Sequence[int], keyring: Keyring) -> None:
    for epoch in epochs:
        sealed: Mapping[str, bytes] = transaction.sealed_keys(epoch)
        transaction.put_sealed_keys(epoch, {name: _anew(keyring, name, epoch, one) for name, one in sealed.items()})
    transaction.record(AuditEvent("keyring-rekeyed", actor="operator", detail={"epochs": str(len(epochs))}))


def _seal_tokens(transaction: Transaction, tokens: Sequence[Token], keyring: Keyring) -> None:
    """Only those that are there still, as they are now."""
    present = {token.id: token for token in transaction.tokens()}
    for token in (present[old.id] for old in tokens if old.id in present):
        transaction.put_token(replace(token, sealed=_anew(keyring, token.id, token.epoch, token.sealed)))
    transaction.record(AuditEvent("keyring-rekeyed", actor="operator", detail={"tokens": str(len(tokens))}))


def _seal_order(file: OrderFile, keyring: Keyring) -> None:
    """The armed restore holds the content key of an encrypted backup."""
    order = file.read()
    if order and order.sealedKey:
        sealed = _anew(keyring, SEALED_NAME, order.epoch, bytes.fromhex(order.sealedKey))
        file.write(order.model_copy(update={"sealedKey": sealed.hex()}))


def _prove(store: Store, epochs: Sequence[int], keyring: Keyring) -> None:
    """Everything opens with the new key alone."""
    try:
        for epoch in epochs:
            for name, sealed in store.read(lambda view, epoch=epoch: view.sealed_keys(epoch)).items():  # type: ignore[misc]
                keyring.unseal(name, epoch, sealed)
        for token in store.read(lambda view: view.tokens()):
            keyring.unseal(token.id, token.epoch, token.sealed)
    except KeyringError as error:
        raise StartError(
            f"not everything could be sealed anew: {error}",
            "another coordinator still uses the former key alone: give it this keyring.key, restart it, and try again",
        ) from None
