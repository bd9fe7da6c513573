"""Knows how the coordinator's words lie in SQLite's tables. One statement per word; no rule of the protocol."""

import json
import sqlite3
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from functools import lru_cache

from http_server.audit_chain import append, canonical, parse_event
from http_server.boot import Boot, BootState, Machine
from http_server.model import (
    AuditEvent,
    AuditRow,
    Claim,
    Enrolment,
    EnrolmentState,
    Facts,
    InitState,
    Report,
    ReportState,
    Slot,
    Token,
)

SCHEMA_VERSION = 1
APPLICATION_ID = 0x6B736564  # "ksed"
SCHEMA = """
CREATE TABLE owner (one INTEGER PRIMARY KEY CHECK (one = 1), cluster TEXT NOT NULL);
CREATE TABLE enrolment (
  node TEXT PRIMARY KEY, generation INTEGER NOT NULL, state TEXT NOT NULL, digest TEXT NOT NULL, facts TEXT NOT NULL,
  since REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE claim (
  epoch INTEGER PRIMARY KEY, state TEXT NOT NULL, node TEXT NOT NULL, ca_digest TEXT NOT NULL,
  etcd_cluster TEXT NOT NULL);
CREATE TABLE slot (one INTEGER PRIMARY KEY CHECK (one = 1), node TEXT NOT NULL, until REAL NOT NULL);
CREATE TABLE token (
  id TEXT PRIMARY KEY, node TEXT NOT NULL, epoch INTEGER NOT NULL, sealed BLOB NOT NULL, expires REAL NOT NULL,
  dead INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX token_node ON token (node) WHERE dead = 0;
CREATE TABLE sealed_key (
  epoch INTEGER NOT NULL, name TEXT NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (epoch, name)) WITHOUT ROWID;
CREATE TABLE report (
  node TEXT NOT NULL, generation INTEGER NOT NULL, stage TEXT NOT NULL, state TEXT NOT NULL, seconds REAL NOT NULL,
  attempt INTEGER NOT NULL, log TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (node, generation, stage)) WITHOUT ROWID;
CREATE TABLE boot (
  node TEXT PRIMARY KEY, generation INTEGER NOT NULL, state TEXT NOT NULL, run TEXT NOT NULL, machine TEXT NOT NULL,
  wipe INTEGER NOT NULL, until REAL NOT NULL, cause TEXT NOT NULL, since REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE audit (
  seq INTEGER PRIMARY KEY, at REAL NOT NULL, event TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL);
"""


def _enrolment(row: sqlite3.Row) -> Enrolment:
    node, generation, state, digest, facts, since = row
    return Enrolment(node, generation, EnrolmentState(state), digest, _facts(facts), since)


@lru_cache(4096)  # every credential that is checked reads them: the same text means the same
def _facts(text: str) -> Facts:
    facts = json.loads(text)
    return Facts(**{**facts, "macs": tuple(facts["macs"])})


def _token(row: sqlite3.Row) -> Token:
    return Token(row["id"], row["node"], row["epoch"], row["sealed"], row["expires"], bool(row["dead"]))


def _report(row: sqlite3.Row) -> Report:
    return Report(
        row["node"], row["generation"], row["stage"], ReportState(row["state"]),
        row["seconds"], row["attempt"], row["log"], row["at"],
    )  # fmt: skip


def _boot(row: sqlite3.Row) -> Boot:
    return Boot(
        row["node"], row["generation"], BootState(row["state"]), row["run"], Machine(**json.loads(row["machine"])),
        bool(row["wipe"]), row["until"], row["cause"], row["since"],
    )  # fmt: skip


def _audit(row: sqlite3.Row) -> AuditRow:
    return AuditRow(row["seq"], row["at"], parse_event(row["event"]), row["previous"], row["hash"])


def select_events(connection: sqlite3.Connection, after: int, limit: int) -> tuple[AuditRow, ...]:
    """Audit rows above `after`, oldest first."""
    rows = connection.execute("SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
    return tuple(_audit(row) for row in rows)


def select_last_event(connection: sqlite3.Connection) -> AuditRow | None:
    """The newest audit row."""
    row = connection.execute("SELECT * FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    return _audit(row) if row else None


class SqliteView:
    """ports.View on one open transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def _one(self, statement: str, *values: str | float) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._connection.execute(statement, values).fetchone()
        return row

    def enrolment(self, node: str) -> Enrolment | None:
        row = self._one("SELECT * FROM enrolment WHERE node = ?", node)
        return _enrolment(row) if row else None

    def enrolments(self) -> tuple[Enrolment, ...]:
        return tuple(map(_enrolment, self._connection.execute("SELECT * FROM enrolment ORDER BY node")))

    def enrolments_naming(self, marks: Collection[str]) -> tuple[Enrolment, ...]:
        """SQLite looks for the texts, as JSON writes them: a storm of n nodes would else read n times n rows."""
        where = " OR ".join(["instr(facts, ?)"] * len(marks)) or "0"
        quoted = [json.dumps(mark)[1:-1] for mark in marks]
        rows = self._connection.execute(f"SELECT * FROM enrolment WHERE {where} ORDER BY node", quoted)  # noqa: S608 - constants
        return tuple(map(_enrolment, rows))

    def claim(self) -> Claim | None:
        row = self._one("SELECT * FROM claim ORDER BY epoch DESC LIMIT 1")
        if row is None:
            return None
        return Claim(row["epoch"], InitState(row["state"]), row["node"], row["ca_digest"], row["etcd_cluster"])

    def slot(self) -> Slot | None:
        row = self._one("SELECT * FROM slot")
        return Slot(row["node"], row["until"]) if row else None

    def token(self, node: str) -> Token | None:
        row = self._one("SELECT * FROM token WHERE node = ? AND dead = 0", node)
        return _token(row) if row else None

    def token_holder(self, token_id: str) -> str | None:
        row = self._one("SELECT node FROM token WHERE id = ? AND dead = 0", token_id)
        return row["node"] if row else None

    def tokens(self) -> tuple[Token, ...]:
        return tuple(map(_token, self._connection.execute("SELECT * FROM token ORDER BY id")))

    def report(self, node: str, generation: int, stage: str) -> Report | None:
        where = "node = ? AND generation = ? AND stage = ?"
        row = self._one(f"SELECT * FROM report WHERE {where}", node, generation, stage)  # noqa: S608 - a constant
        return _report(row) if row else None

    def reports(self) -> tuple[Report, ...]:
        return tuple(map(_report, self._connection.execute("SELECT * FROM report ORDER BY node, at")))

    def boot(self, node: str) -> Boot | None:
        row = self._one("SELECT * FROM boot WHERE node = ?", node)
        return _boot(row) if row else None

    def boots(self) -> tuple[Boot, ...]:
        return tuple(map(_boot, self._connection.execute("SELECT * FROM boot ORDER BY node")))

    def sealed_keys(self, epoch: int) -> Mapping[str, bytes]:
        rows = self._connection.execute("SELECT name, sealed FROM sealed_key WHERE epoch = ?", (epoch,))
        return {row["name"]: row["sealed"] for row in rows}

    def cluster(self) -> str:
        row = self._one("SELECT cluster FROM owner")
        return row["cluster"] if row else ""


class SqliteTransaction(SqliteView):
    """ports.Transaction on one BEGIN IMMEDIATE; counts what was changed and what was recorded. `last` is the newest
    audit row, where it is known already.
    """

    def __init__(self, connection: sqlite3.Connection, now: Callable[[], float], last: AuditRow | None = None) -> None:
        super().__init__(connection)
        self._now = now
        self._last = last
        self.changes = 0
        self.rows: list[AuditRow] = []

    @property
    def recorded(self) -> AuditRow | None:
        """The newest row of this transaction."""
        return self.rows[-1] if self.rows else None

    def _write(self, statement: str, *values: str | float | bytes) -> None:
        self._connection.execute(statement, values)
        self.changes += 1

    def put_enrolment(self, enrolment: Enrolment) -> None:
        facts = json.dumps(asdict(enrolment.facts), sort_keys=True)
        row = (enrolment.node, enrolment.generation, enrolment.state.value, enrolment.digest, facts, enrolment.since)
        self._write("INSERT OR REPLACE INTO enrolment VALUES (?, ?, ?, ?, ?, ?)", *row)

    def put_claim(self, claim: Claim) -> None:
        row = (claim.epoch, claim.state.value, claim.node, claim.ca_digest, claim.etcd_cluster)
        self._write("INSERT OR REPLACE INTO claim VALUES (?, ?, ?, ?, ?)", *row)

    def put_slot(self, slot: Slot | None) -> None:
        self._write("DELETE FROM slot")
        if slot:
            self._write("INSERT INTO slot VALUES (1, ?, ?)", slot.node, slot.until)

    def put_token(self, token: Token) -> None:
        row = (token.id, token.node, token.epoch, token.sealed, token.expires, int(token.dead))
        self._write("INSERT OR REPLACE INTO token VALUES (?, ?, ?, ?, ?, ?)", *row)

    def drop_token(self, token_id: str) -> None:
        self._write("DELETE FROM token WHERE id = ?", token_id)

    def put_report(self, report: Report) -> None:
        row = (
            report.node, report.generation, report.stage, report.state.value,
            report.seconds, report.attempt, report.log, report.at,
        )  # fmt: skip
        self._connection.execute("INSERT OR REPLACE INTO report VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def put_boot(self, boot: Boot) -> None:
        machine = json.dumps(asdict(boot.machine), sort_keys=True)
        row = (
            boot.node, boot.generation, boot.state.value, boot.run, machine,
            int(boot.wipe), boot.until, boot.cause, boot.since,
        )  # fmt: skip
        self._write("INSERT OR REPLACE INTO boot VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", *row)

    def put_sealed_keys(self, epoch: int, sealed: Mapping[str, bytes]) -> None:
        for name, value in sorted(sealed.items()):
            self._write("INSERT OR REPLACE INTO sealed_key VALUES (?, ?, ?)", epoch, name, value)

    def put_cluster(self, name: str) -> None:
        self._write("INSERT INTO owner VALUES (1, ?)", name)

    def record(self, event: AuditEvent) -> None:
        last = self.recorded or self._last or select_last_event(self._connection)
        row = append(last, max(self._now(), last.at if last else 0.0), event)
        kept = (row.seq, row.at, canonical(event), row.previous, row.hash)
        self._connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?)", kept)
        self.rows.append(row)
