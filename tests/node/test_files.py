"""The node's files: what an archive may hold, and how the folder changes."""

import io
import shutil
import stat
import tarfile

import pytest

from generator.scripts import load_scripts
from tests.node.coordinator import ENROL, Answer, Coordinator, archive, refusal
from tests.node.machine import Machine, words

FILES = "etc/kubeseed/files"


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


MALICIOUS = {
    "absolute": member("/etc/cron.d/evil"),
    "upwards": member("../../cron.d/evil"),
    "upwards inside": member("a/../../evil"),
    "symbolic link": member("link", tarfile.SYMTYPE, "/etc"),
    "hard link": member("link", tarfile.LNKTYPE, "hosts"),
    "device": member("disk", tarfile.BLKTYPE),
    "pipe": member("pipe", tarfile.FIFOTYPE),
    "folder": member("folder", tarfile.DIRTYPE),
    "strange name": member("a\nb"),
    "option": member("-rf"),
    "dot": member("./x"),
}


@pytest.mark.parametrize("shell", ["dash", "busybox"])
@pytest.mark.parametrize("evil", MALICIOUS.values(), ids=MALICIOUS.keys())
def test_an_archive_with_anything_but_plain_files_is_refused(
    machine: Machine, coordinator: Coordinator, evil: tarfile.TarInfo, shell: str
) -> None:
    machine.shell = shell
    coordinator.files = archive({"hosts": "x"}, evil)
    status, output = machine.boot()
    assert status == 20
    assert "members that have no place here" in output
    assert not machine.path(FILES).exists()
    assert not list(machine.root.rglob("*evil*"))


def test_the_members_keep_their_modes_but_are_never_programs(machine: Machine, coordinator: Coordinator) -> None:
    program, secret = member("program"), member("certs.d/registry:5000/hosts.toml")
    program.mode, secret.mode = 0o4755, 0o600
    coordinator.files = archive({"hosts": "x"}, program, secret)
    status, output = machine.boot()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in machine.path(FILES).rglob("*") if path.is_file()}
    assert status == 0, output
    assert modes == {"hosts": 0o644, "program": 0o644, "hosts.toml": 0o600, ".etag": 0o600}
    assert stat.S_IMODE(machine.path(FILES).stat().st_mode) == 0o700


def test_new_files_take_the_place_of_the_old_as_a_whole(machine: Machine, coordinator: Coordinator) -> None:
    coordinator.files = archive({"old": "1", "both": "1"})
    files = "/usr/local/lib/kubeseed/stage/files"
    assert machine.boot()[0] == 0
    assert machine.boot(files, "check")[0] == 0
    coordinator.files = archive({"new": "2", "both": "2"})
    assert machine.boot(files, "check")[0] == 1
    assert machine.boot(files, "apply")[0] == 0
    assert machine.boot(files, "verify")[0] == 0
    assert {path.name: path.read_text() for path in machine.path(FILES).iterdir() if path.name != ".etag"} == {
        "new": "2",
        "both": "2",
    }


def test_files_at_hand_are_good_while_nobody_answers(machine: Machine, coordinator: Coordinator) -> None:
    assert machine.boot()[0] == 0
    coordinator.rules["/v1/files"] = lambda _: refusal(503, "busy")
    assert machine.boot("/usr/local/lib/kubeseed/stage/files", "check")[0] == 0


def test_an_answer_that_is_no_archive_is_tried_again(machine: Machine, coordinator: Coordinator) -> None:
    coordinator.rules["/v1/files"] = lambda _: Answer(200, b"<html>", {"ETag": '"1"'})
    status, output = machine.boot("timeout", "5", "/usr/local/lib/kubeseed/run")
    assert status == 124
    assert "the answer is not a tar archive" in output


def with_programs(machine: Machine, coordinator: Coordinator, programs: bytes) -> None:
    """A seed as the generator makes it: four stages, the digest of the other programs, the programs among the files."""
    scripts = load_scripts()
    shutil.rmtree(machine.path(LIBRARY))
    machine.seed(coordinator.root.pem(), ENROL, PROGRAMS=scripts.digest)
    for folder in (LIBRARY, "etc/systemd/system"):
        shutil.rmtree(machine.path(folder), ignore_errors=True)
    for script in scripts.seed:
        machine.write(script.path, script.text, script.mode)
    member = tarfile.TarInfo("programs.tar")
    member.size = len(programs)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(programs))
    coordinator.files = buffer.getvalue()


LIBRARY = "usr/local/lib/kubeseed"


def test_the_programs_that_the_seed_pins_are_run(machine: Machine, coordinator: Coordinator) -> None:
    with_programs(machine, coordinator, load_scripts().programs)
    status, output = machine.boot()
    assert status == 0, output
    assert coordinator.reports()[-1] == "scrub done"
    assert stat.S_IMODE(machine.path(f"{LIBRARY}/stage/base").stat().st_mode) == 0o755
    assert machine.read("etc/systemd/system/kubeseed-refresh.timer").startswith("[Unit]")


def test_other_programs_are_not_even_unpacked(machine: Machine, coordinator: Coordinator) -> None:
    with_programs(machine, coordinator, load_scripts().programs.replace(b"set -eu", b"set -ex", 1))
    status, output = machine.boot()
    assert status == 20
    assert "programs are not those that this node's seed was made with" in words(output)
    assert sorted(path.name for path in machine.path(f"{LIBRARY}/stage").iterdir()) == [
        "clock", "enrol", "files", "preflight",
    ]  # fmt: skip


def test_a_power_cut_while_the_programs_land_is_made_good(machine: Machine, coordinator: Coordinator) -> None:
    with_programs(machine, coordinator, load_scripts().programs)
    machine.write("usr/local/sbin/cp", "#!/bin/sh\nkill -9 -1\n", 0o755)
    machine.boot()
    assert not machine.path(f"{LIBRARY}/.programs").exists()
    machine.path("usr/local/sbin/cp").unlink()
    machine.path(f"{LIBRARY}/stage/base").write_text("half")
    status, output = machine.boot()
    assert status == 0, output
