"""Knows what the conversations need from the world, as Protocols: a store, a keyring, a Kubernetes API."""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol, TypeVar

from http_server.boot import Boot
from http_server.model import AuditEvent, AuditRow, Claim, Enrolment, Report, Slot, Token
from http_server.secret import Secret

T = TypeVar("T")

# The signers of kubelet certificates (certificates.k8s.io/v1, "Kubernetes signers").
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"


class StoreUnavailableError(Exception):
    """The store cannot answer now; nothing was changed. The caller answers 503."""


class View(Protocol):
    """The cluster's state at one moment."""

    def enrolment(self, node: str) -> Enrolment | None:
        """The node's newest enrolment, of whatever generation."""

    def enrolments(self) -> tuple[Enrolment, ...]:
        """All of them, by node name."""

    def enrolments_naming(self, marks: Collection[str]) -> tuple[Enrolment, ...]:
        """At least those whose facts hold one of these texts, by node name."""

    def claim(self) -> Claim | None:
        """The init of the newest epoch; None before the store is initialised."""

    def slot(self) -> Slot | None:
        """The lease under which a master joins."""

    def token(self, node: str) -> Token | None:
        """The node's bootstrap token that is not dead."""

    def tokens(self) -> tuple[Token, ...]:
        """All tokens that may still be in the cluster."""

    def token_holder(self, token_id: str) -> str | None:
        """The node that a token was minted for, unless it is dead."""

    def report(self, node: str, generation: int, stage: str) -> Report | None:
        """The latest word on one stage."""

    def reports(self) -> tuple[Report, ...]:
        """The latest word on every stage of every node."""

    def boot(self, node: str) -> Boot | None:
        """The latch of the node's newest installation over the network."""

    def boots(self) -> tuple[Boot, ...]:
        """All of them, by node name."""

    def sealed_keys(self, epoch: int) -> Mapping[str, bytes]:
        """The epoch's key material as the keyring sealed it."""

    def cluster(self) -> str:
        """The name of the cluster that this store belongs to; empty before initialisation."""


class Transaction(View, Protocol):
    """A view that can be changed: what is read and written through it happens at once, or not at all.

    A change of state without `record` is refused at commit; only `put_report` may go without.
    """

    def put_enrolment(self, enrolment: Enrolment) -> None:
        """Replaces the node's enrolment."""

    def put_claim(self, claim: Claim) -> None:
        """Replaces the claim of its epoch; a higher epoch becomes the newest."""

    def put_slot(self, slot: Slot | None) -> None:
        """Leases the slot, or frees it."""

    def put_token(self, token: Token) -> None:
        """Replaces the token of this id."""

    def drop_token(self, token_id: str) -> None:
        """Forgets a token that the cluster does not hold any more."""

    def put_report(self, report: Report) -> None:
        """Replaces the latest word on the stage."""

    def put_boot(self, boot: Boot) -> None:
        """Replaces the node's latch."""

    def put_sealed_keys(self, epoch: int, sealed: Mapping[str, bytes]) -> None:
        """Keeps the key material of an epoch; what it has is replaced."""

    def put_cluster(self, name: str) -> None:
        """Says whose store this is, once."""

    def record(self, event: AuditEvent) -> None:
        """Appends an audit row to the chain."""


class Store(Protocol):
    """Durable state. SQLite keeps it in one file; an etcd store turns a transaction into one compare-and-swap."""

    @property
    def reads_at_once(self) -> bool:
        """Whether `read` waits for nobody: no network, no writer. Then it needs no thread of its own."""

    def transact(self, decide: Callable[[Transaction], T]) -> T:
        """Runs `decide` in one serialised transaction and returns its result after the commit is durable.

        `decide` may run more than once (a store with optimistic transactions repeats it), so it changes nothing but
        the transaction. When it raises, nothing has happened.
        """

    async def transacted(self, decide: Callable[[Transaction], T]) -> T:
        """As `transact`, in a thread that works for all who wait."""

    def read(self, look: Callable[[View], T]) -> T:
        """Runs `look` on one consistent view, without waiting for writers."""

    def events(self, after: int, limit: int) -> tuple[AuditRow, ...]:
        """Audit rows with a sequence number above `after`, oldest first."""

    def mark(self) -> float:
        """The time of the newest audit row; 0 in an empty store."""

    def close(self) -> None:
        """Ends all connections."""


class Keyring(Protocol):
    """Encrypts what the store keeps."""

    def seal(self, name: str, epoch: int, value: Secret) -> bytes:
        """Authenticated encryption, bound to cluster, name and epoch."""

    def unseal(self, name: str, epoch: int, sealed: bytes) -> Secret:
        """The value; KeyringError when it was changed, moved or sealed under another key."""


class KubernetesUnavailableError(Exception):
    """No API server gave a usable answer; `str` says why, without any secret."""


class SigningRequest(Protocol):
    """A pending certificates.k8s.io/v1 CertificateSigningRequest."""

    @property
    def name(self) -> str: ...
    @property
    def signer(self) -> str: ...
    @property
    def requester(self) -> str: ...
    @property
    def groups(self) -> frozenset[str]: ...
    @property
    def usages(self) -> frozenset[str]: ...
    @property
    def pem(self) -> bytes: ...


class KubernetesApi(Protocol):
    """The few calls that the coordinator makes to the cluster. Each raises KubernetesUnavailableError."""

    def ensure_token(self, token: Token, secret: Secret) -> None:
        """The bootstrap token is in the cluster when this returns."""

    def delete_token(self, token: Token) -> None:
        """The bootstrap token is not in the cluster when this returns."""

    def pending_requests(self) -> tuple[SigningRequest, ...]:
        """Certificate signing requests that nobody has decided."""

    def approve(self, request: SigningRequest, reason: str) -> None:
        """Approves one of them."""
