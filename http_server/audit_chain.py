"""Knows how audit rows are chained: each hash covers the one before it, so a changed, lost or moved row shows."""

import hashlib
import json
from collections.abc import Iterable

from http_server.model import AuditEvent, AuditRow

GENESIS = "0" * 64


def canonical(event: AuditEvent) -> str:
    """The event as JSON with sorted keys and no blanks: the bytes that are kept and hashed."""
    fields = {
        "action": event.action,
        "actor": event.actor,
        "detail": dict(event.detail),
        "node": event.node,
        "outcome": event.outcome,
        "peer": event.peer,
        "request": event.request,
    }
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def parse_event(text: str) -> AuditEvent:
    """The event that `canonical` wrote."""
    return AuditEvent(**json.loads(text))


def chain(previous: str, seq: int, at: float, body: str) -> str:
    """SHA-256 over the previous hash, the number, the time and the event."""
    return hashlib.sha256(f"{previous}\n{seq}\n{at!r}\n{body}".encode()).hexdigest()


def append(last: AuditRow | None, at: float, event: AuditEvent) -> AuditRow:
    """The row that follows `last`."""
    seq, previous = (last.seq + 1, last.hash) if last else (1, GENESIS)
    return AuditRow(seq, at, event, previous, chain(previous, seq, at, canonical(event)))


class ChainError(Exception):
    """The chain is broken at a row; `str` says where and how."""


def verify(rows: Iterable[AuditRow], last: AuditRow | None = None) -> AuditRow | None:
    """Checks that each row follows the one before; returns the newest. ChainError names the first that does not."""
    for row in rows:
        seq, previous = (last.seq + 1, last.hash) if last else (1, GENESIS)
        if row.seq != seq:
            raise ChainError(f"row {seq} is missing: row {row.seq} stands in its place")
        if row.previous != previous or row.hash != chain(previous, seq, row.at, canonical(row.event)):
            raise ChainError(f"row {seq} was changed after it was written")
        last = row
    return last
