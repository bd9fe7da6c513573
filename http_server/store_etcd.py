"""Knows how several coordinators share one store in etcd: every commit is one compare-and-swap on the audit's head.

The state is in memory as it was at one revision. Whoever reads or decides first asks etcd, linearizably, for what was
written since; whoever decides writes only if nobody wrote meanwhile, else decides again.
"""

import random
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from http_server.audit_log import mirror
from http_server.etcd import Etcd, EtcdError, Operation, below, get, part, put
from http_server.failpoint import reach
from http_server.model import AuditRow, Report
from http_server.ports import StoreUnavailableError, Transaction, View
from http_server.private_file import replace_private
from http_server.store_batch import Batches, Work
from http_server.store_words import (
    EMPTY,
    Draft,
    Link,
    Words,
    WordsTransaction,
    WordsView,
    changed,
    decode,
    decode_link,
    decode_report,
    encode,
    encode_link,
    encode_report,
)

T = TypeVar("T")
PATIENCE = 6.0  # seconds for one batch, elections of a leader included
MOST_KEYS = 120  # etcd's --max-txn-ops is 128
PAGE = 500


@dataclass(frozen=True, slots=True)
class Moment:
    """Everything but reports and audit rows, as of one revision; `guard` is the revision that wrote the head."""

    revision: int = 0
    guard: int = 0
    link: Link = field(default_factory=lambda: Link(None, ""))
    words: Words = field(default_factory=lambda: EMPTY)

    @property
    def seq(self) -> int:
        """The number of the newest audit row."""
        return self.link.row.seq if self.link.row else 0


Outcome = tuple[object, Exception | None]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to commit: the draft, what came of each work in it, and the mark by which it is known again."""

    draft: Draft
    outcomes: tuple[Outcome, ...]
    commit: str


class EtcdStore:
    """ports.Store below one prefix of an etcd cluster."""

    reads_at_once = False

    def __init__(self, etcd: Etcd, prefix: str, head: Path, now: Callable[[], float]) -> None:
        self.etcd = etcd
        self.prefix = prefix
        self._head = head
        self._now = now
        self._moment = Moment()
        self._looking = threading.Lock()
        self._looks = 0
        self._problem = ""
        self._batches = Batches(self._commit)

    # Looking

    def read(self, look: Callable[[View], T]) -> T:
        return look(WordsView(self._fresh().words, self))

    def _fresh(self) -> Moment:
        """The state at a moment after this call; threads that ask meanwhile share one look, and its failure."""
        before = self._looks
        with self._looking:
            if self._looks == before:
                self._looks += 1
                self._look()
            if self._problem:
                raise StoreUnavailableError(self._problem)
            return self._moment

    def _look(self) -> None:
        self._problem = ""
        try:
            self._moment = self._next(self._moment)
        except (EtcdError, ValueError) as error:
            self._problem = f"etcd: {error}"

    def _next(self, held: Moment) -> Moment:
        folder = f"{self.prefix}/state/"
        found = self.etcd.ask(get(self._key("head")), below(folder, above_revision=held.revision))
        heads, entries = found.ranges
        link = decode_link(heads[0].value) if heads else Link(None, "")
        guard = heads[0].revision if heads else 0
        words = held.words
        for entry in entries:
            kind, _, name = entry.key.removeprefix(folder).partition("/")
            words = changed(words, kind, name, decode(kind, entry.value))
        fresh = Moment(found.revision, guard, link, words)
        if fresh.revision < held.revision or fresh.seq < held.seq or guard < held.guard:
            raise EtcdError("an old copy of the store was put back while the coordinator ran; restart it")
        return fresh

    def _key(self, *parts: object) -> str:
        return "/".join((self.prefix, *map(str, parts)))

    # Committing

    def transact(self, decide: Callable[[Transaction], T]) -> T:
        return self._batches.transact(decide)

    async def transacted(self, decide: Callable[[Transaction], T]) -> T:
        return await self._batches.transacted(decide)

    def _commit(self, batch: list[Work]) -> None:
        while batch:
            attempt = self._committed(batch)
            for work, (result, error) in zip(batch, attempt.outcomes, strict=False):
                work.result, work.error = result, error
            batch = batch[len(attempt.outcomes) :]

    def _committed(self, batch: list[Work]) -> Attempt:
        """Tries until one attempt is durable. An attempt without an answer is looked for before the next one."""
        unknown: list[Attempt] = []
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            moment = self._fresh()
            if landed := self._landed(unknown):
                return landed
            attempt = self._decided(moment, batch)
            if not attempt.draft.size:
                return attempt
            reach("before-commit")
            try:
                if self.etcd.change(self._key("head"), moment.guard, self._operations(attempt)):
                    self._remember(attempt)
                    reach("after-commit")
                    return attempt
            except EtcdError:
                unknown.append(attempt)
            time.sleep(random.uniform(0, 0.02))  # noqa: S311 - only keeps two coordinators from trying in step
        raise StoreUnavailableError("etcd: no answer, or too many coordinators write at once")

    def _decided(self, moment: Moment, batch: list[Work]) -> Attempt:
        """Runs as many decisions as one etcd transaction can hold, at least one."""
        draft = Draft(moment.words, moment.link.row)
        outcomes: list[Outcome] = []
        for work in batch:
            transaction = WordsTransaction(draft, self, self._now)
            try:
                result = work.decide(transaction)
                wider = transaction.finish()
            except StoreUnavailableError:
                raise
            except Exception as error:  # noqa: BLE001 - it is raised again in the thread that waits for this decision
                outcomes.append((None, error))
                continue
            if outcomes and wider.size > MOST_KEYS:
                break
            draft = wider
            outcomes.append((result, None))
        return Attempt(draft, tuple(outcomes), secrets.token_hex(16))

    def _operations(self, attempt: Attempt) -> list[Operation]:
        draft, mark = attempt.draft, attempt.commit
        words = [put(self._key("state", *key), encode(key[0], word)) for key, word in draft.changes.items()]
        reports = [put(self._key("report", *key), encode_report(report)) for key, report in draft.reports.items()]
        rows = [put(self._audit_key(row.seq), encode_link(Link(row, mark))) for row in draft.rows]
        return [*words, *reports, *rows, put(self._key("head"), encode_link(Link(draft.last, mark)))]

    def _audit_key(self, seq: int) -> str:
        return self._key("audit", f"{seq:012d}")

    def _landed(self, unknown: list[Attempt]) -> Attempt | None:
        """The attempt that was committed although no answer came. One that only reports may be repeated instead."""
        for attempt in unknown:
            if attempt.draft.rows:
                found = self._asked(get(self._audit_key(attempt.draft.rows[0].seq)))[0]
                if found and decode_link(found[0]).commit == attempt.commit:
                    self._remember(attempt)
                    return attempt
        return None

    def _remember(self, attempt: Attempt) -> None:
        if attempt.draft.rows:
            newest = attempt.draft.rows[-1]
            with suppress(OSError):  # an older head is harmless: it only remembers less
                replace_private(self._head, f"{newest.seq} {newest.hash}\n".encode())
            mirror(attempt.draft.rows)

    # What is not kept in memory

    def _asked(self, *ranges: Operation) -> tuple[list[bytes], ...]:
        try:
            found = self.etcd.ask(*ranges)
        except EtcdError as error:
            raise StoreUnavailableError(f"etcd: {error}") from error
        return tuple([entry.value for entry in entries] for entries in found.ranges)

    def one(self, node: str, generation: int, stage: str) -> Report | None:
        found = self._asked(get(self._key("report", node, generation, stage)))[0]
        return decode_report(found[0]) if found else None

    def every(self) -> tuple[Report, ...]:
        folder = f"{self.prefix}/report/"
        return tuple(decode_report(value) for value in self._asked(below(folder))[0])

    def events(self, after: int, limit: int) -> tuple[AuditRow, ...]:
        folder = f"{self.prefix}/audit/"
        found = self._asked(part(self._audit_key(after + 1), folder, limit))[0]
        return tuple(row for row in (decode_link(value).row for value in found) if row)

    def mark(self) -> float:
        row = self._fresh().link.row
        return row.at if row else 0.0

    def close(self) -> None:
        self.etcd.close()
