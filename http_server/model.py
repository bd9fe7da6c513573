"""Knows the coordinator's words: enrolment, init, slot, token, report, grant, audit event. Frozen values, no rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from http_server.inventory import Leaf
from http_server.secret import Secret


class Auth(StrEnum):
    """How a route wants its caller to prove who it is (docs/protocol.md, Authentication)."""

    NONE = "none"
    ENROLMENT = "enrolment"
    NODE = "node"
    OPERATOR = "operator"


class Who(StrEnum):
    """Which callers that proved themselves may use a route. Judged from the inventory, never from the request."""

    ALL = "all"
    MASTERS = "masters"
    FIRST_MASTER = "first-master"
    JOINERS = "joiners"
    MEMBERS = "members"


class Scheme(StrEnum):
    """What a caller presented."""

    NONE = "none"
    SEALED = "sealed"
    PENDING = "pending"
    NODE = "node"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as proven at this request. `digest` is the SHA-256 of the credential that proved a node."""

    scheme: Scheme
    node: str = ""
    digest: str = ""


class EnrolmentState(StrEnum):
    """States of a node generation's enrolment."""

    ISSUED = "issued"
    PENDING = "pending"
    BOUND = "bound"
    CLOSED = "closed"
    REVOKED = "revoked"


LIVE_STATES = frozenset({EnrolmentState.BOUND, EnrolmentState.CLOSED})


@dataclass(frozen=True, slots=True)
class Facts:
    """What a node says of itself. Shown to the operator, never a proof."""

    macs: tuple[str, ...] = ()
    product_uuid: str = ""
    serial: str = ""
    arch: str = ""
    os: str = ""
    kernel: str = ""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What is known of one node generation: its state and, once it asked, the digest of its credential."""

    node: str
    generation: int
    state: EnrolmentState = EnrolmentState.ISSUED
    digest: str = ""
    facts: Facts = field(default_factory=Facts)
    since: float = 0.0

    @property
    def fingerprint(self) -> str:
        """The digest's first 20 digits in groups of four; the node's console shows the same. Empty before it asked."""
        return "-".join(self.digest[at : at + 4] for at in range(0, 20, 4)) if self.digest else ""

    @property
    def live(self) -> bool:
        """Whether the credential behind `digest` is accepted."""
        return self.state in LIVE_STATES


class InitState(StrEnum):
    """States of an epoch's init."""

    NONE = "none"
    CLAIMED = "claimed"
    PKI_DELIVERED = "pki-delivered"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Claim:
    """The init of one epoch: who holds it and how far it is."""

    epoch: int
    state: InitState = InitState.NONE
    node: str = ""
    ca_digest: str = ""
    etcd_cluster: str = ""


@dataclass(frozen=True, slots=True)
class Slot:
    """The lease under which one master at a time may join; `until` in seconds since 1970."""

    node: str
    until: float


@dataclass(frozen=True, slots=True)
class Token:
    """A bootstrap token for one node alone. `sealed` is its secret half, encrypted; a dead one waits for deletion."""

    id: str
    node: str
    epoch: int
    sealed: bytes
    expires: float
    dead: bool = False


class ReportState(StrEnum):
    """A node's word on a stage; `stopped` says that no retry can mend the failure."""

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Report:
    """The latest word on one stage of one node generation."""

    node: str
    generation: int
    stage: str
    state: ReportState
    seconds: float
    attempt: int
    log: str
    at: float


@dataclass(frozen=True, slots=True)
class Grant:
    """The right to one certificate. Only `service` makes one, after its decision; `pki` signs nothing without it."""

    epoch: int
    profile: Leaf


@dataclass(frozen=True, slots=True)
class Keyset:
    """The cluster's key material of one epoch: public certificates and secret keys, all PEM, by name."""

    epoch: int
    certificates: Mapping[str, bytes]
    keys: Mapping[str, Secret]


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """What happened: never a secret, a token or a credential in `detail`."""

    action: str
    node: str = ""
    actor: str = ""
    outcome: str = "ok"
    request: str = ""
    peer: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One event as kept: `hash` is SHA-256 over `previous` and the event, so rows cannot be changed one by one."""

    seq: int
    at: float
    event: AuditEvent
    previous: str
    hash: str
