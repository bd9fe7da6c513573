"""Knows the coordinator's words in memory and as JSON: a view on them, and a transaction that collects changes."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import ConfigDict, TypeAdapter

from http_server.audit_chain import append
from http_server.boot import Boot
from http_server.model import AuditEvent, AuditRow, Claim, Enrolment, Report, Slot, Token
from http_server.store_batch import UnrecordedChangeError

# kind -> name -> word. Never changed in place, so that whoever holds one holds a moment.
Words = Mapping[str, Mapping[str, Any]]

_BASE64 = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
_KINDS: Mapping[str, TypeAdapter[Any]] = {
    "boot": TypeAdapter(Boot),
    "claim": TypeAdapter(Claim),
    "cluster": TypeAdapter(str),
    "enrolment": TypeAdapter(Enrolment),
    "keys": TypeAdapter(dict[str, bytes], config=_BASE64),
    "slot": TypeAdapter(Slot | None),
    # All tokens of a node in one word: nothing is ever deleted, so a change since a revision is always seen.
    "token": TypeAdapter(tuple[Token, ...], config=_BASE64),
}
EMPTY: Words = {kind: {} for kind in _KINDS}
ONE = "one"


def encode(kind: str, word: object) -> bytes:
    """The word as JSON."""
    return _KINDS[kind].dump_json(word)


def decode(kind: str, data: bytes) -> Any:
    """The word that `encode` wrote; ValueError when it is not one."""
    return _KINDS[kind].validate_json(data)


def changed(words: Words, kind: str, name: str, word: object) -> Words:
    """The words with one of them replaced."""
    return {**words, kind: {**words[kind], name: word}}


def epoch_name(epoch: int) -> str:
    """Sorts as the number does."""
    return f"{epoch:09d}"


@dataclass(frozen=True, slots=True)
class Link:
    """A row of the audit chain and the random mark of the commit that wrote it."""

    row: AuditRow | None
    commit: str


_LINK = TypeAdapter(Link)
_REPORT = TypeAdapter(Report)


def encode_link(link: Link) -> bytes:
    """The link as JSON."""
    return _LINK.dump_json(link)


def decode_link(data: bytes) -> Link:
    """The link that `encode_link` wrote."""
    return _LINK.validate_json(data)


def encode_report(report: Report) -> bytes:
    """The report as JSON."""
    return _REPORT.dump_json(report)


def decode_report(data: bytes) -> Report:
    """The report that `encode_report` wrote."""
    return _REPORT.validate_json(data)


class Reports(Protocol):
    """The latest words on stages: too many to be kept in memory."""

    def one(self, node: str, generation: int, stage: str) -> Report | None: ...
    def every(self) -> tuple[Report, ...]: ...


class WordsView:
    """ports.View on words in memory."""

    def __init__(self, words: Words, reports: Reports) -> None:
        self.words = words
        self._reports = reports

    def _all(self, kind: str) -> tuple[Any, ...]:
        return tuple(word for _, word in sorted(self.words[kind].items()))

    def enrolment(self, node: str) -> Enrolment | None:
        return self.words["enrolment"].get(node)

    def enrolments(self) -> tuple[Enrolment, ...]:
        return self._all("enrolment")

    def enrolments_naming(self, marks: Collection[str]) -> tuple[Enrolment, ...]:
        del marks  # all of them are in memory anyway
        return self.enrolments()

    def claim(self) -> Claim | None:
        return max(self._all("claim"), key=lambda claim: claim.epoch, default=None)

    def slot(self) -> Slot | None:
        return self.words["slot"].get(ONE)

    def token(self, node: str) -> Token | None:
        return next((token for token in self.words["token"].get(node, ()) if not token.dead), None)

    def tokens(self) -> tuple[Token, ...]:
        held = (token for tokens in self.words["token"].values() for token in tokens)
        return tuple(sorted(held, key=lambda token: token.id))

    def token_holder(self, token_id: str) -> str | None:
        return next((token.node for token in self.tokens() if token.id == token_id and not token.dead), None)

    def report(self, node: str, generation: int, stage: str) -> Report | None:
        return self._reports.one(node, generation, stage)

    def reports(self) -> tuple[Report, ...]:
        return tuple(sorted(self._reports.every(), key=lambda report: (report.node, report.at)))

    def boot(self, node: str) -> Boot | None:
        return self.words["boot"].get(node)

    def boots(self) -> tuple[Boot, ...]:
        return self._all("boot")

    def sealed_keys(self, epoch: int) -> Mapping[str, bytes]:
        found: Mapping[str, bytes] = self.words["keys"].get(epoch_name(epoch), {})
        return found

    def cluster(self) -> str:
        return str(self.words["cluster"].get(ONE, ""))


ReportKey = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Draft:
    """What one commit will write: changed words, reports, audit rows. `last` is the newest row, `words` the result."""

    words: Words
    last: AuditRow | None
    changes: Mapping[tuple[str, str], object] = field(default_factory=dict)
    reports: Mapping[ReportKey, Report] = field(default_factory=dict)
    rows: tuple[AuditRow, ...] = ()

    @property
    def size(self) -> int:
        """How many keys it writes."""
        return len(self.changes) + len(self.reports) + len(self.rows)


class WordsTransaction(WordsView):
    """ports.Transaction that writes nothing: it goes on from a draft and makes the next one."""

    def __init__(self, draft: Draft, reports: Reports, now: Callable[[], float]) -> None:
        super().__init__(draft.words, reports)
        self._draft = draft
        self._now = now
        self._changes: dict[tuple[str, str], object] = {}
        self._written: dict[ReportKey, Report] = {}
        self._rows: list[AuditRow] = []

    def finish(self) -> Draft:
        """The draft with everything that was put; a change that recorded nothing is refused."""
        if self._changes and not self._rows:
            raise UnrecordedChangeError
        before = self._draft
        return Draft(
            self.words, self._last, {**before.changes, **self._changes}, {**before.reports, **self._written},
            (*before.rows, *self._rows),
        )  # fmt: skip

    @property
    def _last(self) -> AuditRow | None:
        return self._rows[-1] if self._rows else self._draft.last

    def _put(self, kind: str, name: str, word: object) -> None:
        self.words = changed(self.words, kind, name, word)
        self._changes[kind, name] = word

    def put_enrolment(self, enrolment: Enrolment) -> None:
        self._put("enrolment", enrolment.node, enrolment)

    def put_claim(self, claim: Claim) -> None:
        self._put("claim", epoch_name(claim.epoch), claim)

    def put_slot(self, slot: Slot | None) -> None:
        self._put("slot", ONE, slot)

    def put_token(self, token: Token) -> None:
        others = (held for held in self.words["token"].get(token.node, ()) if held.id != token.id)
        self._put("token", token.node, (*others, token))

    def drop_token(self, token_id: str) -> None:
        node = next((token.node for token in self.tokens() if token.id == token_id), "")
        self._put("token", node, tuple(held for held in self.words["token"].get(node, ()) if held.id != token_id))

    def report(self, node: str, generation: int, stage: str) -> Report | None:
        key = (node, generation, stage)
        return self._written.get(key) or self._draft.reports.get(key) or super().report(node, generation, stage)

    def put_report(self, report: Report) -> None:
        self._written[report.node, report.generation, report.stage] = report

    def put_boot(self, boot: Boot) -> None:
        self._put("boot", boot.node, boot)

    def put_sealed_keys(self, epoch: int, sealed: Mapping[str, bytes]) -> None:
        self._put("keys", epoch_name(epoch), dict(sealed))

    def put_cluster(self, name: str) -> None:
        self._put("cluster", ONE, name)

    def record(self, event: AuditEvent) -> None:
        last = self._last
        self._rows.append(append(last, max(self._now(), last.at if last else 0.0), event))
