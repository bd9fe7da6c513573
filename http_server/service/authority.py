"""Knows what key material goes to whom: masters get what kubeadm looks for, everybody the CA certificates."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import replace

import yaml

from http_server.archive import Member, pack
from http_server.errors import ApiError, conflict
from http_server.inventory import AuthorityName
from http_server.keyset import ENCRYPTION, SERVICE_ACCOUNT
from http_server.model import Claim, InitState, Keyset
from http_server.ports import Transaction
from http_server.service.context import Context, current_claim, event, require_live
from http_server.wire import TAR, Answer, Call, later, tagged

WAIT_SECONDS = 10
# Where kubeadm looks (kubeadm app/constants), below /etc/kubernetes.
PLACES = {
    AuthorityName.KUBERNETES: "pki/ca",
    AuthorityName.FRONT_PROXY: "pki/front-proxy-ca",
    AuthorityName.ETCD: "pki/etcd/ca",
}
PUBLIC_NAMES = {
    AuthorityName.KUBERNETES: "ca.crt",
    AuthorityName.FRONT_PROXY: "front-proxy-ca.crt",
    AuthorityName.ETCD: "etcd-ca.crt",
}


def pki(context: Context, call: Call) -> Answer:
    """GET /v1/pki: the key material of the epoch, for the claimant at once, for other masters when init is complete."""

    def decide(transaction: Transaction) -> Keyset | ApiError | None:
        require_live(context, transaction, call)
        held = current_claim(transaction)
        if held.state is not InitState.COMPLETE and call.caller.node != context.inventory.firstMaster:
            return None
        if held.state is not InitState.COMPLETE and held.node != call.caller.node:
            return conflict("not-claimed", "claim the init first")
        _deliver(transaction, held)
        transaction.record(event(call, "pki-delivered", epoch=str(held.epoch)))
        return context.keyset(transaction, held.epoch)

    keyset = context.decide(decide)
    if keyset is None:
        return later("waiting for the first master", WAIT_SECONDS)
    return Answer(body=pack(_private(context, keyset)), media_type=TAR, headers={"X-Epoch": str(keyset.epoch)})


def _deliver(transaction: Transaction, held: Claim) -> None:
    if held.state is InitState.CLAIMED:
        transaction.put_claim(replace(held, state=InitState.PKI_DELIVERED))


def _private(context: Context, keyset: Keyset) -> Iterator[Member]:
    for name, place in PLACES.items():
        yield Member(f"{place}.crt", keyset.certificates[name])
        yield Member(f"{place}.key", keyset.keys[name].reveal(), 0o600)
    yield Member("pki/sa.pub", keyset.certificates[SERVICE_ACCOUNT])
    yield Member("pki/sa.key", keyset.keys[SERVICE_ACCOUNT].reveal(), 0o600)
    provider = context.inventory.encryption
    if provider:
        yield Member("encryption.yaml", encryption_configuration(provider, keyset.keys[ENCRYPTION].reveal()), 0o600)


def encryption_configuration(provider: str, key: bytes) -> bytes:
    """apiserver.config.k8s.io/v1 EncryptionConfiguration for Secrets; those written in the clear stay readable."""
    first = {provider: {"keys": [{"name": "key1", "secret": base64.b64encode(key).decode()}]}}
    resources = [{"resources": ["secrets"], "providers": [first, {"identity": {}}]}]
    document = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": resources}
    return yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, encoding="utf-8")


def authorities(context: Context, call: Call) -> Answer:
    """GET /v1/authorities: the three CA certificates of the epoch, nothing else."""
    keyset = context.store.read(lambda view: context.keyset(view, current_claim(view).epoch))
    members = (Member(name, keyset.certificates[authority]) for authority, name in PUBLIC_NAMES.items())
    answer = tagged(call, pack(members), TAR)
    return replace(answer, headers={**answer.headers, "X-Epoch": str(keyset.epoch)})


def ca_digest(keyset: Keyset) -> str:
    """The SHA-256 of pki/ca.crt as delivered."""
    return hashlib.sha256(keyset.certificates[AuthorityName.KUBERNETES]).hexdigest()
