"""Knows how the audit trail is mirrored to the log, so that a journal elsewhere holds a copy that can be compared."""

import logging
from collections.abc import Iterable

from http_server.audit_chain import canonical
from http_server.model import AuditRow

log = logging.getLogger("kubeseed.audit")


def mirror(rows: Iterable[AuditRow]) -> None:
    """One line for each row that is durable now: its number, its hash, and the event as it was hashed."""
    for row in rows:
        log.info("audit %d %s %s", row.seq, row.hash, canonical(row.event))
