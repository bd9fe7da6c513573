"""Knows how the coordinator is put together from OUT: what is checked first, and in which order things are made."""

import asyncio
import ctypes
import gc
import logging
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from http_server.app import Traffic, build_app
from http_server.assets import ImageIndex
from http_server.backups import prepared
from http_server.bell import Bell, make_bells
from http_server.clock import HighWaterClock
from http_server.errors import StartError
from http_server.identity import Identity, ServerTls, load_root
from http_server.inventory import Inventory
from http_server.inventory_file import InventoryFile
from http_server.keyring import AesKeyring, KeyringError, load_keyring_keys
from http_server.keyset import make_keyset
from http_server.kubernetes_api import RequestsKubernetes
from http_server.limit import Rate
from http_server.metrics import Metrics, count_in, make_shared
from http_server.model import AuditEvent
from http_server.order import OrderFile
from http_server.ports import Keyring, Store, StoreUnavailableError, Transaction
from http_server.private_file import FOLDER, check_private, sweep
from http_server.routes import ROUTES, Listener
from http_server.server import Door, bind, bind_private, bind_together, lock, run, run_in_loop
from http_server.service.background import serve_cluster, watch
from http_server.service.client_identity import ClientIdentity, own_certificate
from http_server.service.context import Context, KeysetCache, current_claim, open_epoch
from http_server.settings import Listen, Out, Settings
from http_server.shelf import Shelf, take_pushed
from http_server.store_etcd import EtcdStore
from http_server.store_history import open_store
from http_server.workers import Crew

log = logging.getLogger("kubeseed.coordinator")
_PR_SET_DUMPABLE = 4  # prctl(2)


@dataclass(frozen=True, slots=True)
class Coordinator:
    """Everything that is ready before the first socket is opened."""

    context: Context
    tls: ServerTls


def check_out(out: Out) -> None:
    """OUT is there, was generated, and its secrets are nobody else's."""
    if not out.root.is_dir():
        raise StartError(f"{out.root} is not a folder", "kubeseed generate SPEC -o OUT writes it")
    if not out.inventory.exists():
        raise StartError(
            f"{out.inventory} is missing: the cluster is not generated yet", "kubeseed generate SPEC -o OUT"
        )
    if not out.state.exists():
        out.state.mkdir(FOLDER)
    kept = [out.store] if out.store.exists() and not out.etcd else []
    for path in (out.secrets, out.root_key, *out.secrets.glob("*.key"), out.state, *sorted(out.state.iterdir()), *kept):
        if not path.exists():
            raise StartError(f"{path} is missing: the cluster is not generated yet", "kubeseed generate SPEC -o OUT")
        if not path.is_socket():
            check_private(path)


@contextmanager
def assemble(
    settings: Settings,
    source: Callable[[], float] = time.time,
    bell: Bell | None = None,
    metrics: Metrics | None = None,
) -> Iterator[Coordinator]:
    """The coordinator of an OUT, its store open and initialised. Raises StartError before anything is served."""
    out = settings.out
    check_out(out)
    inventory_file = InventoryFile(out.inventory)
    clock = HighWaterClock(source=source)
    cluster = inventory_file.current.cluster
    was_there = out.store.exists()
    store = open_store(out, cluster, clock.now)
    try:
        with _told_when_unavailable():
            clock.raise_to(store.mark())
            fresh = not store.read(lambda view: view.cluster()) if out.etcd else not was_there
            keyring = AesKeyring(load_keyring_keys(out.keyring_key, store_is_new=fresh), cluster)
            initialise(store, keyring, inventory_file.current, clock)
            keysets = _opened_keysets(store, keyring)
            if shelf := shelf_of(store):
                take_pushed(shelf, keyring, out)
                inventory_file.refresh()
            ready = _wire(
                settings, inventory_file, store, keyring, clock, keysets, bell or Bell(), metrics or Metrics()
            )
        yield ready
    finally:
        store.close()


@contextmanager
def _told_when_unavailable() -> Iterator[None]:
    """What is a 503 while it runs is a reason not to start."""
    try:
        yield
    except StoreUnavailableError as error:
        raise StartError(
            f"the store cannot be used: {error}", "see that the disk has room and can be written, or that etcd answers"
        ) from None


def _wire(
    settings: Settings,
    inventory_file: InventoryFile,
    store: Store,
    keyring: Keyring,
    clock: HighWaterClock,
    keysets: KeysetCache,
    bell: Bell,
    metrics: Metrics,
) -> Coordinator:
    limits, shelf = settings.limits, shelf_of(store)
    identity = ClientIdentity(store, keyring, keysets, clock)
    context = Context(
        settings=settings,
        inventory_file=inventory_file,
        store=store,
        keyring=keyring,
        kubernetes=RequestsKubernetes(lambda: inventory_file.current.apiServers, identity),
        clock=clock,
        bell=bell,
        node_rate=Rate(limits.node_rate),
        enrol_rate=Rate(limits.enrol_rate),
        keysets=keysets,
        take_pushed=partial(take_pushed, shelf, keyring, settings.out) if shelf else lambda: False,
        backups=prepared(settings.out.backups),
        orders=OrderFile(settings.out.restore_order),
        upload_gate=asyncio.Semaphore(limits.uploads),
        images=ImageIndex(settings.images),
        metrics=metrics,
    )
    tls = ServerTls(load_root(settings.out), clock, lambda fresh: _announce(store, fresh))
    tls.keep(inventory_file.current.hosts)
    return Coordinator(context, tls)


def shelf_of(store: Store) -> Shelf | None:
    """Where inventories are pushed to; only a shared store has one."""
    return Shelf(store.etcd, store.prefix) if isinstance(store, EtcdStore) else None


def _announce(store: Store, fresh: Identity) -> None:
    store.transact(lambda transaction: transaction.record(own_certificate("server", fresh)))


def initialise(store: Store, keyring: Keyring, inventory: Inventory, clock: HighWaterClock) -> None:
    """A new store gets its owner and epoch 1 with all keys, in one transaction; another cluster's store is refused."""
    owner = store.read(lambda view: view.cluster())
    if owner and owner != inventory.cluster:
        raise StartError(
            f"the store belongs to cluster {owner!r}, the inventory to {inventory.cluster!r}",
            "use the OUT of that cluster",
        )
    if owner:
        return
    keyset = make_keyset(1, inventory.caDays, clock.now())

    def found(transaction: Transaction) -> None:
        if transaction.cluster():
            return  # another coordinator of the same shared store was faster
        transaction.put_cluster(inventory.cluster)
        open_epoch(transaction, keyset, keyring)
        transaction.record(
            AuditEvent("store-initialised", actor="coordinator", detail={"cluster": inventory.cluster, "epoch": "1"})
        )

    store.transact(found)


def _opened_keysets(store: Store, keyring: Keyring) -> KeysetCache:
    """Proves at start that the keyring opens the store."""
    keysets = KeysetCache()
    try:
        store.read(lambda view: keysets.get(view, current_claim(view).epoch, keyring))
    except KeyringError as error:
        raise StartError(
            f"the keyring does not open the store: {error}", "put back the keyring.key that belongs to this store"
        ) from None
    return keysets


def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT."""
    check_out(settings.out)
    limit_process()
    with alone(settings.out):
        with assemble(settings) as coordinator:
            sockets = _bound(coordinator)
            if settings.workers == 1:
                run_in_loop(_serve(coordinator, {listener: socks[0] for listener, socks in sockets.items()}))
        try:
            if settings.workers > 1:
                _serve_together(settings, sockets)
        finally:
            settings.out.socket.unlink(missing_ok=True)
    log.info("stopped")


def _serve_together(settings: Settings, sockets: Mapping[Listener, Sequence[socket.socket]]) -> None:
    """Every worker answers nodes; the first one also answers booting machines and the operator, and serves the cluster.

    The parent has assembled everything once, so what keeps it from starting is told once.
    """
    bells, counts = make_bells(settings.workers), settings.out.metrics
    make_shared(counts, settings.workers)

    def work(number: int) -> None:
        own = {listener: socks[number] for listener, socks in sockets.items() if number < len(socks)}
        count_in(counts, number)
        with assemble(settings, bell=bells[number], metrics=Metrics(counts)) as coordinator:
            run_in_loop(_serve(coordinator, own, leads=number == 0))

    Crew(settings.workers, work).run()


@contextmanager
def alone(out: Out) -> Iterator[None]:
    """As the only coordinator, or the only command in its place, of this OUT."""
    try:
        held = lock(out)
    except OSError as error:
        raise StartError(f"{out.state} cannot be written: {error.strerror}", "the state is kept there") from None
    try:
        sweep(out.state)
        yield
    finally:
        os.close(held)


def limit_process() -> None:
    """As many connections as the system allows, and no core dump, to a file or to a pipe: keys are in memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _bound(coordinator: Coordinator) -> dict[Listener, list[socket.socket]]:
    """The sockets of each listener: one, or one for each worker."""
    settings = coordinator.context.settings
    listen = settings.listen or Listen("0.0.0.0", coordinator.context.inventory.port)  # noqa: S104 - nodes are everywhere
    bound = {
        Listener.TLS: bind_together(listen, settings.workers) if settings.workers > 1 else [bind(listen)],
        Listener.PLAIN: [bind(settings.boot_listen)],
        Listener.SOCKET: [bind_private(settings.out.socket)],
    }
    if settings.ui_listen:
        bound[Listener.UI] = [bind(settings.ui_listen)]
        log.info("status page on http://%s/", settings.ui_listen)
    name = coordinator.context.inventory.cluster
    log.info("cluster %s: https on %s, http for booting machines on %s", name, listen, settings.boot_listen)
    return bound


async def _serve(coordinator: Coordinator, sockets: Mapping[Listener, socket.socket], *, leads: bool = True) -> None:
    context, tls = coordinator.context, coordinator.tls
    if not leads:
        context = replace(context, take_pushed=lambda: False)
    settings = context.settings
    traffic = Traffic(Rate(settings.limits.peer_rate), Rate(settings.limits.all_rate))
    doors = tuple(
        Door(
            listener,
            sock,
            build_app(context, listener, ROUTES, traffic),
            tls.context if listener is Listener.TLS else None,
        )
        for listener, sock in sockets.items()
    )
    hup = asyncio.Event()
    gc.freeze()  # a large inventory stays: it is not searched for garbage again and again
    alone_do = [serve_cluster(context)] if leads else []
    tasks = tuple(asyncio.create_task(work) for work in (watch(context, tls, hup), *alone_do))
    await run(doors, settings.limits, context.bell, hup, tasks, context.metrics)
