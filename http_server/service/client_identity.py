"""Knows how the coordinator shows itself to the cluster: a day's certificate under the Kubernetes CA of the epoch."""

import threading

from http_server.clock import Clock
from http_server.identity import CLIENT, Identity, make_identity
from http_server.inventory import AuthorityName
from http_server.keyset import authority
from http_server.model import AuditEvent
from http_server.pki import AuthorityError
from http_server.ports import Keyring, KubernetesUnavailableError, Store
from http_server.service.context import KeysetCache, current_claim


class ClientIdentity:
    """The current certificate; a new one for each epoch, and at half of its life."""

    def __init__(self, store: Store, keyring: Keyring, keysets: KeysetCache, clock: Clock) -> None:
        self._store = store
        self._keyring = keyring
        self._keysets = keysets
        self._clock = clock
        self._lock = threading.Lock()
        self._held: tuple[int, Identity] | None = None

    def __call__(self) -> Identity:
        """The certificate and key, and the CA under which the API servers must show themselves."""
        with self._lock:
            epoch = self._store.read(current_claim).epoch
            now, since = self._clock.now(), self._clock.since()
            if self._held is None or self._held[0] != epoch or self._held[1].due(now, since):
                self._held = (epoch, self._make(epoch, now, since))
            return self._held[1]

    def _make(self, epoch: int, now: float, since: float) -> Identity:
        keyset = self._store.read(lambda view: self._keysets.get(view, epoch, self._keyring))
        try:
            fresh = make_identity(CLIENT, epoch, authority(keyset, AuthorityName.KUBERNETES), now, since)
        except AuthorityError as error:
            raise KubernetesUnavailableError(str(error)) from None
        self._store.transact(lambda transaction: transaction.record(own_certificate("client", fresh)))
        return fresh


def own_certificate(kind: str, identity: Identity) -> AuditEvent:
    """The audit event of a certificate of the coordinator's own."""
    detail = {"kind": kind, "serial": f"{identity.serial:x}"}
    return AuditEvent("coordinator-certificate", actor="coordinator", detail=detail)
