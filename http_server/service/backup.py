"""Knows how backups arrive: content first, each piece read back from the disk, then the manifest that makes it one."""

import asyncio
import hashlib
import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from http_server.backups import DamagedError, NoRoomError
from http_server.errors import ApiError, conflict, invalid, unavailable
from http_server.form import decode_body, parse_digest, parse_form
from http_server.inventory import AuthorityName
from http_server.manifest import Manifest, ManifestError, parse_manifest
from http_server.ports import Transaction, View
from http_server.service.context import Context, current_claim, event, require_live
from http_server.store_copy import sealed_copy
from http_server.wire import BYTES, Answer, Call, say

T = TypeVar("T")
# One and a half intervals, for each hour of the interval: from then on another member takes over.
STALE_SECONDS = 1.5 * 3600
_one_copy_at_a_time = threading.Lock()


async def take_blob(context: Context, call: Call) -> Answer:
    """POST /v1/backups/{digest}: content of this SHA-256. 200 only after it was read back from the disk."""
    try:
        digest = parse_digest(call.path["digest"])
    except ValueError as error:
        raise invalid("digest", str(error)) from None
    if context.upload_gate.locked():
        raise unavailable("busy", "too many uploads at once")
    async with context.upload_gate:
        incoming = await asyncio.to_thread(_guard, lambda: context.backups.receive(call.request))
        try:
            async for chunk in call.stream:
                await asyncio.to_thread(_guard, lambda data=chunk: incoming.write(data))
            await asyncio.to_thread(_guard, lambda: incoming.keep(digest))
        finally:
            await asyncio.to_thread(incoming.discard)
    return say("stored")


def _guard(work: Callable[[], T]) -> T:
    """What a disk or its content can refuse, as the node is told it."""
    try:
        return work()
    except DamagedError as error:
        raise ApiError(422, "damaged", str(error)) from None
    except (NoRoomError, OSError) as error:
        raise unavailable("no-room", "the coordinator cannot store more now", str(error)) from None


def take_backup(context: Context, call: Call) -> Answer:
    """POST /v1/backups: a manifest; it counts from here on. 409 names the contents that have to arrive first."""
    manifest = _manifest(call)
    if manifest.node != call.caller.node:
        raise ApiError(403, "forbidden", "a node hands in its own backups only")
    _refuse_foreign(context, call, manifest)
    if missing := context.backups.missing(manifest):
        raise conflict("contents-missing", f"wanted first: {' '.join(file.sha256 for file in missing)}")
    if manifest.id not in context.backups.ids():
        context.decide(lambda transaction: _record(context, transaction, call, manifest))
    _guard(lambda: context.backups.add(manifest, call.body))
    context.backups.thin()
    return say("stored")


def _manifest(call: Call) -> Manifest:
    try:
        return parse_manifest(call.body)
    except ManifestError as error:
        raise invalid("manifest", str(error)) from None


def _refuse_foreign(context: Context, call: Call, manifest: Manifest) -> None:
    """A backup is of this cluster when its etcd's authority is the one of the newest epoch."""
    own = context.store.read(lambda view: _etcd_ca(context, view))
    if manifest.cluster == context.inventory.cluster and manifest.etcdCa == own:
        return
    alarm = event(call, "backup-refused", outcome="alarm", id=manifest.id, cluster=manifest.cluster)
    context.store.transact(lambda transaction: context.alarm(transaction, alarm))
    raise conflict("foreign-backup", "the backup is of another cluster, or of another epoch of this one")


def _etcd_ca(context: Context, view: View) -> str:
    """SHA-256 of the etcd authority's public key (SubjectPublicKeyInfo), as kubeadm pins authorities."""
    pem = context.keyset(view, current_claim(view).epoch).certificates[AuthorityName.ETCD]
    key = x509.load_pem_x509_certificate(pem).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _record(context: Context, transaction: Transaction, call: Call, manifest: Manifest) -> None:
    require_live(context, transaction, call)
    digest = hashlib.sha256(call.body).hexdigest()
    transaction.record(event(call, "backup-stored", id=manifest.id, revision=str(manifest.revision), sha256=digest))


def store(context: Context, call: Call) -> Answer:
    """GET /v1/backups/store: the coordinator's store, for the backup that is being taken; no node can open it."""
    if context.settings.out.etcd:
        raise ApiError(404, "shared-store", "a shared store is copied by etcd's own means")
    with _one_copy_at_a_time:
        copy = sealed_copy(context.settings.out.store, context.keyring)
    digest = hashlib.sha256(copy).hexdigest()

    def decide(transaction: Transaction) -> None:
        require_live(context, transaction, call)
        transaction.record(event(call, "store-copied", sha256=digest))

    context.decide(decide)
    return Answer(body=copy, media_type=BYTES)


def freshness(context: Context) -> Mapping[str, object]:
    """The newest backup for `status`: stale when it is older than one and a half intervals, or when there is none."""
    backups, hours = context.backups.all(), context.inventory.backupHours
    newest = max(backups, key=lambda backup: backup.taken, default=None)
    age = context.clock.now() - newest.taken if newest else None
    return {
        "expected": bool(hours),
        "count": len(backups),
        "id": newest.manifest.id if newest else "",
        "taken": newest.taken if newest else None,
        "age": age,
        "bytes": newest.manifest.size if newest else 0,
        "stale": bool(hours) and (age is None or age > hours * STALE_SECONDS),
    }


def wanted(context: Context, call: Call) -> Answer:
    """GET /v1/backups/wanted: the moment, in seconds, that the newest backup must not be older than; 0: no wish."""
    del call
    return say(str(context.backups.wanted))


def want(context: Context, call: Call) -> Answer:
    """POST /backups/now: the operator wants a backup, without waiting for its hour."""
    parse_form(decode_body(call.body), frozenset())
    context.backups.want(context.clock.now())
    context.store.transact(lambda transaction: transaction.record(event(call, "backup-wanted")))
    return say("wanted: a member takes it within a quarter of an hour")
