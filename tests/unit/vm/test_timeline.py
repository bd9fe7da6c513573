"""How a boot is told: marks of the console, reports of the node, each once."""

from pathlib import Path

import pytest

from generator.vm.status import NodeStatus, Stage
from generator.vm.timeline import Timeline

KERNEL = b"[    0.000000] Linux version 6.1.0-cloud-amd64 (debian-kernel@lists.debian.org)\r\n"
LOCAL = (
    b"[   12.3] cloud-init[321]: Cloud-init v. 22.4.2 running 'init-local' at Mon, 23 Nov 2026. Up 12.1 seconds.\r\n"
)


@pytest.fixture
def timeline(tmp_path: Path) -> Timeline:
    return Timeline(tmp_path / "console.log", began=100.0)


def test_a_machine_that_says_nothing_yet_has_no_marks(timeline: Timeline) -> None:
    assert timeline.look(101.0, None) == []


def test_marks_come_once_and_with_their_seconds(timeline: Timeline) -> None:
    timeline.console.write_bytes(KERNEL)
    assert timeline.look(103.5, None) == ["kernel"]
    assert timeline.look(104.0, None) == []
    timeline.console.write_bytes(KERNEL + LOCAL)
    assert timeline.look(112.5, None) == ["cloud-init"]
    assert timeline.data()["marks"] == {"kernel": 3.5, "cloud-init": 12.5}


def test_a_mark_that_is_written_in_two_pieces_is_seen(timeline: Timeline) -> None:
    noise = b"x" * 5000
    timeline.console.write_bytes(noise + KERNEL[:20])
    assert timeline.look(101.0, None) == []
    timeline.console.write_bytes(noise + KERNEL)
    assert timeline.look(102.0, None) == ["kernel"]


def test_what_the_console_said_before_this_start_does_not_count(timeline: Timeline) -> None:
    timeline.console.write_bytes(KERNEL)
    later = Timeline(timeline.console, 100.0, offset=len(KERNEL))
    assert later.look(101.0, None) == []


def test_stages_are_told_when_they_change(timeline: Timeline) -> None:
    started = NodeStatus("bound", "a1b2", {"base": Stage("started", 0, 1)})
    done = NodeStatus("bound", "a1b2", {"base": Stage("done", 3, 1)})
    assert timeline.look(101.0, started) == ["enrolment: bound", "base ..."]
    assert timeline.look(102.0, started) == []
    assert timeline.look(104.0, done) == ["base done in 3 s"]
    assert timeline.data()["stages"]["base"] == {"state": "done", "at": 4.0, "seconds": 3, "attempts": 1}


def test_a_pending_node_shows_its_fingerprint(timeline: Timeline) -> None:
    assert timeline.look(101.0, NodeStatus("pending", "a1b2-c3d4")) == ["enrolment: pending, fingerprint a1b2-c3d4"]


def test_what_an_earlier_boot_reported_is_no_news(timeline: Timeline) -> None:
    known = NodeStatus("bound", "a1b2", {"base": Stage("done", 3, 1)})
    timeline.know(known)
    assert timeline.look(101.0, known) == []


def test_a_node_is_done_with_its_last_stage_only() -> None:
    assert not NodeStatus("bound", "", {"base": Stage("done", 3, 1)}).done
    assert not NodeStatus("bound", "", {"scrub": Stage("started", 0, 1)}).done
    assert NodeStatus("closed", "", {"scrub": Stage("done", 1, 1)}).done


def test_a_stopped_stage_is_named() -> None:
    assert NodeStatus("bound", "", {"preflight": Stage("stopped", 0, 1)}).stopped == "preflight"
