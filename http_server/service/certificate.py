"""Knows which certificate a node may have: the inventory names it, the node gives nothing but a public key."""

import hashlib

from cryptography.hazmat.primitives import serialization
from cryptography.x509 import Certificate

from http_server.clock import Clock
from http_server.errors import ApiError, forbidden, unavailable
from http_server.failpoint import reach
from http_server.keyset import authority
from http_server.model import Grant
from http_server.pki import Authority, AuthorityError, PublicKey, RequestError, certificate_pem, issue, parse_request
from http_server.ports import Transaction
from http_server.service.context import Context, current_claim, event, require_live
from http_server.wire import PEM, Answer, Call


async def certificate(context: Context, call: Call) -> Answer:
    """POST /v1/certificates/{kind}: the certificate of this kind for the caller, 403 for kinds that are not its own."""
    kind = call.path["kind"]
    profile = context.inventory.nodes[call.caller.node].certificates.get(kind)
    if profile is None:
        raise forbidden("this node has no certificate of that kind")
    public = _public_key(call.body)

    def decide(transaction: Transaction) -> tuple[bytes, int]:
        require_live(context, transaction, call)
        epoch = current_claim(transaction).epoch
        signer = authority(context.keyset(transaction, epoch), profile.authority)
        reach("before-sign")
        issued = _issue(Grant(epoch, profile), public, signer, context.clock)
        reach("after-sign")
        detail = {"kind": kind, "epoch": str(epoch), "serial": f"{issued.serial_number:x}", "spki": spki_digest(public)}
        transaction.record(event(call, "certificate-issued", **detail))
        return certificate_pem(issued), epoch

    pem, epoch = await context.decided(decide)
    return Answer(body=pem, media_type=PEM, headers={"X-Epoch": str(epoch)})


def _public_key(body: bytes) -> PublicKey:
    try:
        return parse_request(body)
    except RequestError as error:
        raise ApiError(422, "unusable-request", str(error)) from None


def _issue(grant: Grant, public: PublicKey, signer: Authority, clock: Clock) -> Certificate:
    try:
        return issue(grant, public, signer, clock.now(), clock.since())
    except AuthorityError as error:
        raise unavailable("authority-expired", "the cluster's authority has expired", str(error)) from None


def spki_digest(public: PublicKey) -> str:
    """The SHA-256 of the SubjectPublicKeyInfo."""
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(public.public_bytes(serialization.Encoding.DER, spki)).hexdigest()
