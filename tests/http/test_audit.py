"""The audit trail: mirrored to the log row by row, and refusals that are counted and cannot fill the disk."""

import re
from pathlib import Path

import pytest

from http_server.alarms import Alarms
from http_server.limit import MOST_KEYS, Rate
from http_server.model import AuditEvent
from tests.http import etcd
from tests.http.process import Coordinator, running


@pytest.mark.parametrize("store", ["sqlite", "etcd"])
def test_the_log_holds_every_row_with_its_hash(tmp_path: Path, store: str) -> None:
    """A journal that is copied off the host can convict a store that was rewritten with all its hashes."""
    with running(tmp_path, shared=etcd.fresh_address() if store == "etcd" else None) as coordinator:
        before = {row["seq"] for row in coordinator.events()}
        coordinator.machine("m1").enrolled().initialise()
        coordinator.machine("w1").enrol("Enrolment " + "0" * 16 + ":" + "0" * 64)
        rows = {row["seq"]: row["hash"] for row in coordinator.events() if row["seq"] not in before}
        mirrored = {
            int(seq): digest for seq, digest in re.findall(r"info: audit (\d+) ([0-9a-f]{64}) {", coordinator.log)
        }
        assert len(rows) > 4
        assert rows.items() <= mirrored.items()


def test_refusals_are_counted(coordinator: Coordinator) -> None:
    """Many refusals of one peer: one row, and the log counts the requests."""
    with coordinator.anybody(Authorization="Node w1:" + "0" * 64) as client:
        codes = [client.get("/v1/files").status_code for _ in range(30)]
    assert set(codes) == {401}
    assert sum(row["action"] == "denied" for row in coordinator.events()) == 1


def test_what_is_left_out_is_told_with_the_next_row() -> None:
    now = [0.0]
    alarms = Alarms(Rate((1 / 60, 1.0), lambda: now[0]))
    first = alarms.worth(AuditEvent("denied", "w1", request="r0"))
    assert first
    assert not first.detail
    assert [alarms.worth(AuditEvent("denied", "w1", request=f"r{n}")) for n in range(1, 8)] == [None] * 7
    assert alarms.worth(AuditEvent("denied", "w2", request="r9"))
    now[0] = 61.0
    second = alarms.worth(AuditEvent("denied", "w1", request="r10", detail={"route": "/v1/files"}))
    assert second
    assert second.detail == {"route": "/v1/files", "left out": "7"}


def test_a_decision_made_twice_keeps_its_alarm() -> None:
    """A store with optimistic transactions decides again when somebody else was faster."""
    alarms = Alarms()
    event = AuditEvent("seed-conflict", "w1", request="r1")
    assert alarms.worth(event) == event
    assert alarms.worth(event) == event
    assert alarms.worth(AuditEvent("seed-conflict", "w1", request="r2")) is None


def test_alarms_of_many_peers_are_bounded() -> None:
    alarms = Alarms(Rate((0.0001, 1.0)))
    for number in range(MOST_KEYS + 100):
        for _ in range(2):
            alarms.worth(AuditEvent("denied", peer=str(number), request=str(number)))
            alarms.worth(AuditEvent("denied", peer=str(number), request="other"))
    assert len(alarms._told) == len(alarms._left_out) == MOST_KEYS
