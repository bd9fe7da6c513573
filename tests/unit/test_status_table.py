"""`kubeseed status` on terminals of all widths: no name, stage or second is ever cut off."""

import io
import time
from typing import Any

import pytest
from rich.console import Console

from http_server.table import status_view

STAGES = "preflight clock enrol files base engine packages load-balancer etcd pki init join verify addons backup scrub"
FACTS = {"serial": "s", "product_uuid": "u", "macs": ["52:54:00:00:00:11"]}


def stage(seconds: int, attempts: int = 1) -> dict[str, Any]:
    return {"state": "done", "seconds": float(seconds), "attempts": attempts, "at": 0.0, "log": ""}


def node(reported: int) -> dict[str, Any]:
    stages = {name: stage(100 + number) for number, name in enumerate(STAGES.split()[:reported])}
    return {"roles": ["etcd", "master"], "state": "bound", "boot": None, "facts": FACTS, "stages": stages}


def status(*nodes: int) -> dict[str, Any]:
    return {
        "cluster": "ha",
        "init": {"epoch": 1, "state": "none"},
        "slot": None,
        "stages": STAGES.split(),
        "nodes": {f"master-number-{number}": node(reported) for number, reported in enumerate(nodes)},
        "backup": {"id": "", "stale": False},
        "restore": None,
        "strangers": [],
    }


def shown(told: dict[str, Any], width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(status_view(told, "out"))
    return captured.get()


@pytest.mark.parametrize("width", [70, 80, 100, 120, 160, 240, 300])
def test_nothing_is_cut_off(width: int) -> None:
    text = shown(status(16, 3, 0), width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    words = text.split()
    assert {f"{100 + number}s" for number in range(16)} <= {word.strip(",") for word in words}
    assert {"master-number-0", "master-number-1", "master-number-2", *STAGES.split()} <= set(words)


def test_a_stage_has_a_column_of_its_own_where_all_fit() -> None:
    head = shown(status(16, 3), 240).splitlines()[2]
    assert [word for word in head.split() if word.isascii()] == ["node", "roles", "enrolment", *STAGES.split()]
    assert "stages" in shown(status(16, 3), 100).splitlines()[2]


def test_a_cluster_that_has_not_begun_fits_anywhere() -> None:
    head = shown(status(0, 0), 60).splitlines()[2]
    assert [word for word in head.split() if word.isascii()] == ["node", "roles", "enrolment"]


def test_a_second_try_is_told() -> None:
    told = status(1)
    told["nodes"]["master-number-0"]["stages"]["preflight"] = stage(7, attempts=3)
    assert "7s x3" in shown(told, 80)


def test_an_armed_restore_names_those_that_are_waited_for() -> None:
    told = status(1, 1)
    told["restore"] = {"backup": "20300131T030000Z-m1", "at": time.time() - 120, "done": ["master-number-1"]}
    line = "restore of 20300131T030000Z-m1, armed 2 min ago: done by master-number-1, waiting for master-number-0"
    assert line in shown(told, 200)
    told["restore"]["done"].append("master-number-0")
    assert "armed 2 min ago: done by all. Take the order back: kubeseed restore out --disarm" in shown(told, 200)
