"""Knows what every conversation works with, and how a decision reaches the store together with its audit row."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from http_server.alarms import Alarms
from http_server.archive import PackedMembers
from http_server.assets import ImageIndex
from http_server.authenticate import is_live
from http_server.backups import Backups
from http_server.bell import Bell
from http_server.board import Board
from http_server.clock import Clock
from http_server.errors import ApiError, unauthorised
from http_server.inventory import Inventory
from http_server.inventory_file import InventoryFile
from http_server.keyset import seal_keyset, unseal_keyset
from http_server.limit import Rate
from http_server.metrics import Metrics
from http_server.model import AuditEvent, Claim, Keyset
from http_server.order import OrderFile
from http_server.ports import Keyring, KubernetesApi, Store, Transaction, View
from http_server.settings import Settings
from http_server.sighting import Sightings
from http_server.wire import Call

T = TypeVar("T")


class KeysetCache:
    """Opened keysets by epoch. A keyset never changes, so an opened one stays true."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: dict[int, Keyset] = {}

    def get(self, view: View, epoch: int, keyring: Keyring) -> Keyset:
        """The epoch's keyset, opened at most once."""
        with self._lock:
            if epoch not in self._opened:
                self._opened[epoch] = unseal_keyset(epoch, view.sealed_keys(epoch), keyring)
            return self._opened[epoch]


@dataclass(frozen=True, slots=True)
class Context:
    """The ports and limits behind every route."""

    settings: Settings
    inventory_file: InventoryFile
    store: Store
    keyring: Keyring
    kubernetes: KubernetesApi
    clock: Clock
    bell: Bell
    node_rate: Rate
    enrol_rate: Rate
    backups: Backups
    orders: OrderFile
    upload_gate: asyncio.Semaphore
    images: ImageIndex
    alarms: Alarms = field(default_factory=Alarms)
    sightings: Sightings = field(default_factory=Sightings)
    metrics: Metrics = field(default_factory=Metrics)
    board: Board = field(default_factory=Board)
    packed: PackedMembers = field(default_factory=PackedMembers)
    kubernetes_gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))
    keysets: KeysetCache = field(default_factory=KeysetCache)
    take_pushed: Callable[[], bool] = lambda: False

    @property
    def inventory(self) -> Inventory:
        """The newest good inventory."""
        return self.inventory_file.current

    def decide(self, decision: Callable[[Transaction], T | ApiError]) -> T:
        """Runs the decision in one transaction. A refusal returned keeps its audit row; one raised leaves nothing."""
        return _granted(self.store.transact(decision))

    async def decided(self, decision: Callable[[Transaction], T | ApiError]) -> T:
        """As `decide`; waits without a thread."""
        return _granted(await self.store.transacted(decision))

    def keyset(self, view: View, epoch: int) -> Keyset:
        """The key material of an epoch."""
        return self.keysets.get(view, epoch, self.keyring)

    def alarm(self, transaction: Transaction, event: AuditEvent) -> None:
        """Records a refusal, at most once a minute for each node and reason, so that refusals cannot fill the disk."""
        if worthy := self.worth(event):
            transaction.record(worthy)

    def worth(self, event: AuditEvent) -> AuditEvent | None:
        """The refusal to record, when it is the first of its kind within a minute; it tells how many were left out."""
        return self.alarms.worth(event)


def _granted(result: T | ApiError) -> T:
    if isinstance(result, ApiError):
        raise result
    return result


def event(call: Call, action: str, node: str = "", outcome: str = "ok", **detail: str) -> AuditEvent:
    """An audit event of this call; the actor is the node that proved itself, or the operator."""
    caller = call.caller
    actor = f"node {caller.node}" if caller.node else str(caller.scheme)
    return AuditEvent(action, node or caller.node, actor, outcome, call.request, call.peer, detail)


def require_live(context: Context, view: View, call: Call) -> None:
    """401 when the caller's credential died since it was authenticated: revocation counts from the next decision on."""
    caller = call.caller
    if not is_live(view.enrolment(caller.node), caller.node, caller.digest, context.inventory):
        raise unauthorised(f"node {caller.node}: no longer live")


def current_claim(view: View) -> Claim:
    """The newest epoch; there always is one in an initialised store."""
    claim = view.claim()
    if claim is None:
        raise LookupError("the store has no epoch")
    return claim


def open_epoch(transaction: Transaction, keyset: Keyset, keyring: Keyring) -> None:
    """Starts an epoch with its own keys; nobody has claimed it."""
    transaction.put_claim(Claim(keyset.epoch))
    transaction.put_sealed_keys(keyset.epoch, seal_keyset(keyset, keyring))
