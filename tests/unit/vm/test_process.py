"""Processes by id and start: what is ours is ended, what only has the same id is left alone."""

import os
import signal
from pathlib import Path

import pytest

from generator.errors import LocalError
from generator.vm.process import Process, run, spawn


@pytest.fixture
def sleeper(tmp_path: Path) -> Process:
    return spawn(["sleep", "60"], log=tmp_path / "log", folder=tmp_path)


def test_a_process_is_alive_until_it_is_ended(sleeper: Process) -> None:
    assert sleeper.alive
    sleeper.send(signal.SIGKILL)
    assert sleeper.wait(5)
    assert not sleeper.alive


def test_a_stranger_with_the_same_id_is_left_alone(sleeper: Process) -> None:
    stranger = Process(sleeper.pid, sleeper.started - 1)
    assert not stranger.alive
    stranger.send(signal.SIGKILL)
    assert sleeper.alive
    sleeper.send(signal.SIGKILL)


def test_a_process_is_written_down_and_read_back(sleeper: Process) -> None:
    assert Process.parse(f"{sleeper}\n") == sleeper
    sleeper.send(signal.SIGKILL)


def test_an_ended_process_takes_signals_without_a_word(sleeper: Process) -> None:
    sleeper.send(signal.SIGKILL)
    sleeper.wait(5)
    os.waitpid(sleeper.pid, 0)
    sleeper.send(signal.SIGTERM)
    with pytest.raises(LocalError, match="has ended already"):
        Process.of(sleeper.pid)


def test_output_is_kept_and_private(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for word in ("one", "two"):
        spawn(["echo", word], log=log, folder=tmp_path).wait(5)
    assert log.read_text() == "one\ntwo\n"
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_missing_program_is_named_with_its_package(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"no-such-program is not installed(.|\n)*apt install no-such-program"):
        spawn(["no-such-program"], log=tmp_path / "log", folder=tmp_path)
    with pytest.raises(LocalError, match="is not installed"):
        run(["no-such-program"])


def test_a_program_that_fails_is_quoted() -> None:
    with pytest.raises(LocalError, match="no room on the moon"):
        run(["sh", "-c", "echo no room on the moon >&2; exit 3"])
