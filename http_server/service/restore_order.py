"""Knows how a restore is armed by the operator, and handed to each member exactly once."""

from http_server.backups import MANIFEST
from http_server.errors import ApiError, conflict, invalid
from http_server.form import decode_body, matching, parse_form, parse_node, whole_number
from http_server.manifest import ID, Manifest
from http_server.model import Claim, InitState
from http_server.order import Order
from http_server.ports import KubernetesUnavailableError, Transaction
from http_server.secret import Secret
from http_server.service.context import Context, current_claim, event, require_live
from http_server.wire import BYTES, Answer, Call, say

FIELDS = frozenset({"backup", "force", "members", "key", "reopen"})
SEALED_NAME = "restore-key"
parse_id = matching(ID.pattern, "the id of a backup")
parse_flag = matching(r"[01]", "0 or 1")
parse_members = matching(r"[A-Za-z0-9.:,=/\[\]-]{0,4096}", "NAME=PEER-URL,...")
parse_key = matching(r"([0-9a-f]{64})?", "64 hexadecimal digits")


def arm(context: Context, call: Call) -> Answer:
    """POST /restore: every member restores this backup, once. `reopen` starts the init again with the same keys."""
    form = parse_form(decode_body(call.body), FIELDS)
    manifest = _backup(context, form.one("backup", parse_id))
    key = form.one("key", parse_key, "")
    if bool(manifest.encryptedTo) != bool(key):
        wanted = "the backup is encrypted: its content key is wanted" if manifest.encryptedTo else "it is not encrypted"
        raise invalid("key", wanted)
    now = context.clock.now()
    epoch = context.store.read(current_claim).epoch
    sealed = context.keyring.seal(SEALED_NAME, epoch, Secret(key.encode())).hex() if key else ""
    force, reopen = (form.one(name, parse_flag, "0") == "1" for name in ("force", "reopen"))
    if reopen and not force and _alive(context):
        raise conflict(
            "alive",
            "an API server of this cluster answers: its masters are not all blank. Without --reinstalled each member"
            " restores by itself; with --force the init starts again all the same",
        )
    order = Order(
        backup=manifest.id, attempt=int(now), force=force, reinstalled=reopen,
        members=form.one("members", parse_members, ""), sealedKey=sealed, epoch=epoch, at=now,
    )  # fmt: skip
    with context.orders.alone():
        context.decide(lambda transaction: _record_armed(transaction, call, order, reopen=reopen))
        context.orders.write(order)
    return say(
        f"armed: every member restores {order.backup} within half an hour, or at once by kubeseed-restore --armed"
    )


def _alive(context: Context) -> bool:
    try:
        context.kubernetes.pending_requests()
    except KubernetesUnavailableError:
        return False
    return True


def _backup(context: Context, name: str) -> Manifest:
    for backup in context.backups.all():
        if backup.manifest.id == name:
            return backup.manifest
    raise ApiError(404, "no-such-backup", "there is no backup of that id")


def _record_armed(transaction: Transaction, call: Call, order: Order, *, reopen: bool) -> None:
    """A re-opened init keeps its epoch: blank machines rebuild the cluster under the same authorities."""
    if reopen:
        transaction.put_claim(Claim(order.epoch))
        transaction.put_slot(None)
    detail = {"backup": order.backup, "attempt": str(order.attempt), "reopen": str(int(reopen))}
    transaction.record(event(call, "restore-armed", outcome="alarm", **detail))


def disarm(context: Context, call: Call) -> Answer:
    """POST /restore/disarm: nobody who has not begun restores any more. Blank masters need their order."""
    parse_form(decode_body(call.body), frozenset())
    with context.orders.alone():
        armed, claim = context.orders.read(), context.store.read(current_claim)
        if armed and armed.reinstalled and armed.epoch == claim.epoch and claim.state is not InitState.COMPLETE:
            raise conflict(
                "init-open",
                "without this order the first master would make an empty cluster. Arm another backup in its place,"
                " or give the cluster up: kubeseed reassign-init",
            )
        context.orders.remove()
    context.store.transact(lambda transaction: transaction.record(event(call, "restore-disarmed")))
    return say("disarmed")


def order(context: Context, call: Call) -> Answer:
    """GET /v1/restore: the order as KEY=value lines; 404 when there is none for this node."""
    mine = _mine(context, call)
    key = ""
    if mine.sealedKey:
        key = context.keyring.unseal(SEALED_NAME, mine.epoch, bytes.fromhex(mine.sealedKey)).reveal().decode()
    lines = {"backup": mine.backup, "attempt": str(mine.attempt), "force": "1" if mine.force else "",
             "reinstalled": "1" if mine.reinstalled else "", "members": mine.members, "key": key}  # fmt: skip
    context.decide(lambda transaction: _record(context, transaction, call, "restore-handed-out", mine))
    return say("\n".join(f"{name}={value}" for name, value in lines.items()))


def file(context: Context, call: Call) -> Answer:
    """GET /v1/restore/{file}: the armed backup's manifest or snapshot; its archive of keys is not handed out."""
    mine = _mine(context, call)
    for backup in context.backups.all():
        if backup.manifest.id == mine.backup:
            names = {MANIFEST, *(each.name for each in backup.manifest.files if each.name.startswith("snapshot.db"))}
            if call.path["file"] in names:
                return Answer(media_type=BYTES, file=backup.folder / call.path["file"])
    raise ApiError(404, "not-found", "the armed backup has no such file")


def done(context: Context, call: Call) -> Answer:
    """POST /v1/restore/done: this node's member runs on the restored data."""
    form = parse_form(decode_body(call.body), frozenset({"backup", "attempt"}))
    said = form.one("backup", parse_id), form.one("attempt", whole_number(1, 10**12 - 1))
    with context.orders.alone():
        armed = context.orders.read()
        if armed is None or (armed.backup, armed.attempt) != said:
            raise conflict("another-order", "this restore is not armed any more")
        if call.caller.node not in armed.done:
            context.decide(lambda transaction: _record(context, transaction, call, "restore-done", armed))
            context.orders.write(armed.model_copy(update={"done": (*armed.done, call.caller.node)}))
    return say("noted")


def progress(context: Context) -> dict[str, object] | None:
    """The armed order for `status`."""
    armed = context.orders.read()
    if armed is None:
        return None
    return {"backup": armed.backup, "at": armed.at, "done": armed.done}


def _mine(context: Context, call: Call) -> Order:
    """The order, unless it is void: for this node, by its age, or because another epoch has begun."""
    armed = context.orders.read()
    of_now = armed is not None and armed.epoch == context.store.read(current_claim).epoch
    if armed is None or not of_now or not armed.open_for(parse_node(call.caller.node), context.clock.now()):
        raise ApiError(404, "no-restore", "no restore is armed for this node")
    return armed


def _record(context: Context, transaction: Transaction, call: Call, action: str, armed: Order) -> None:
    require_live(context, transaction, call)
    transaction.record(event(call, action, backup=armed.backup, attempt=str(armed.attempt)))
