"""Many container nodes share one limit of this host."""

from pathlib import Path

import pytest

from generator.vm.inotify import ROOM, make_room


@pytest.fixture
def limit(tmp_path: Path) -> Path:
    file = tmp_path / "max_user_instances"
    file.write_text("128\n")
    return file


def test_a_low_limit_is_raised_and_told(limit: Path) -> None:
    assert make_room(limit) == f"fs.inotify.max_user_instances was 128, enough for 9 nodes; it is {ROOM} now"
    assert limit.read_text() == f"{ROOM}\n"


def test_a_higher_limit_stays_as_it_is(limit: Path) -> None:
    limit.write_text("1048576\n")
    assert make_room(limit) == ""
    assert limit.read_text() == "1048576\n"


def test_a_limit_that_cannot_be_raised_is_told(limit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    told = make_room(limit)
    assert told == ("fs.inotify.max_user_instances is 128, enough for 9 nodes, and cannot be raised: Permission denied")
