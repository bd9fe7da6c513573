"""Knows how a caller proves who it is, and who may use a route. Nothing a caller says of its role is believed."""

import hashlib
import re

from http_server.errors import forbidden, unauthorised
from http_server.inventory import Inventory
from http_server.model import Auth, Caller, Enrolment, Scheme, Who
from http_server.ports import Store
from http_server.secret import same

NOBODY = "0" * 64  # no input is known to have this digest; compared with when there is nothing to compare with
HEADER = re.compile(r"(Enrolment|Pending|Node) ([!-~]{1,400})")
SEALED = re.compile(r"([0-9a-f]{16}):([0-9a-f]{64})")
NODE = re.compile(r"([a-z0-9][-a-z0-9.]{0,252}):([0-9a-f]{64})")
PENDING = re.compile(r"[a-z0-9][-a-z0-9.]{0,252}")


def authenticate(auth: Auth, header: str, inventory: Inventory, store: Store) -> Caller:
    """The caller that this header proves on a route of this kind, or 401 in the same words for every reason."""
    if auth in {Auth.NONE, Auth.OPERATOR}:
        return Caller(Scheme.OPERATOR if auth is Auth.OPERATOR else Scheme.NONE)
    parts = HEADER.fullmatch(header)
    if not parts:
        raise unauthorised("no usable Authorization header")
    scheme, proof = parts.groups()
    if auth is Auth.NODE and scheme == "Node":
        return _node(proof, inventory, store)
    if auth is Auth.ENROLMENT and scheme == "Enrolment":
        return _sealed(proof, inventory)
    if auth is Auth.ENROLMENT and scheme == "Pending":
        return _pending(proof, inventory)
    raise unauthorised(f"scheme {scheme} is not for this route")


def _node(proof: str, inventory: Inventory, store: Store) -> Caller:
    parts = NODE.fullmatch(proof)
    if not parts:
        raise unauthorised("malformed node credential")
    name, credential = parts.groups()
    enrolment = store.read(lambda view: view.enrolment(name))
    digest = hashlib.sha256(credential.encode()).hexdigest()
    matches = same(digest, enrolment.digest if enrolment and enrolment.digest else NOBODY)
    if not matches or not is_live(enrolment, name, digest, inventory):
        raise unauthorised(f"node {name}: {'not live' if matches else 'unknown or wrong'}")
    return Caller(Scheme.NODE, name, digest)


def is_live(enrolment: Enrolment | None, node: str, digest: str, inventory: Inventory) -> bool:
    """Whether this credential still speaks for the node: bound, not revoked, and of the generation of the inventory."""
    known = inventory.nodes.get(node)
    return bool(
        enrolment
        and known
        and enrolment.live
        and enrolment.generation == known.generation
        and same(enrolment.digest, digest)
    )


def _sealed(proof: str, inventory: Inventory) -> Caller:
    parts = SEALED.fullmatch(proof)
    if not parts:
        raise unauthorised("malformed enrolment secret")
    enrol_id, secret = parts.groups()
    name = inventory.by_enrol_id.get(enrol_id, "")
    expected = inventory.nodes[name].secretDigest if name else NOBODY
    if not same(hashlib.sha256(secret.encode()).hexdigest(), expected) or not name:
        raise unauthorised(f"enrolment {enrol_id}: unknown or wrong")
    return Caller(Scheme.SEALED, name)


def _pending(proof: str, inventory: Inventory) -> Caller:
    if not PENDING.fullmatch(proof) or proof not in inventory.nodes:
        raise unauthorised("pending enrolment of a node that is not in the inventory")
    return Caller(Scheme.PENDING, proof)


def authorise(who: Who, caller: Caller, inventory: Inventory) -> None:
    """403 unless the caller's role in the inventory may use the route."""
    if who is Who.ALL:
        return
    node = inventory.nodes[caller.node]
    if who is Who.MASTERS and not node.master:
        raise forbidden("only masters may have this")
    if who is Who.MEMBERS and not node.member:
        raise forbidden("only nodes with etcd may do this")
    if who is Who.FIRST_MASTER and caller.node != inventory.firstMaster:
        raise forbidden("only the first master may do this")
    if who is Who.JOINERS and caller.node == inventory.firstMaster:
        raise forbidden("the first master initialises the cluster, it does not join")
