"""The folder changes as a whole or not at all: after a full disk, a failing call and a kill at every step."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from generator.errors import LocalError
from generator.manifest import Manifest
from generator.output import Changes, Watch, opened, unwatched, write
from generator.render.artefact import Artefact

OLD = (
    Artefact("nodes/m1/user-data", b"old", 0o600, secret=True),
    Artefact("nodes/m1/meta-data", b"same"),
    Artefact("nodes/gone/meta-data", b"gone"),
    Artefact("pxe/ca.crt", b"ca"),
    Artefact("secrets/root.key", b"key", 0o600, secret=True),
)
NEW = (
    Artefact("nodes/m1/user-data", b"new", 0o600, secret=True),
    Artefact("nodes/m1/meta-data", b"same"),
    Artefact("nodes/m2/meta-data", b"m2"),
    Artefact("nodes/m2/deep/er/file", b"deep"),
    Artefact("pxe/ca.crt", b"ca"),
    Artefact("secrets/root.key", b"key", 0o600, secret=True),
)


def generate(out: Path, artefacts: Iterable[Artefact], watch: Watch = unwatched) -> Changes:
    with opened(out, create=True, watch=watch):
        return write(out, artefacts, "digest", watch=watch)


def tree(out: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of OUT but the lock and the manifest, with its mode."""
    return {
        str(path.relative_to(out)): (path.read_bytes(), path.stat().st_mode & 0o7777)
        for path in out.rglob("*")
        if path.is_file() and path.name not in (".lock", "manifest.json")
    }


def wanted(artefacts: Iterable[Artefact]) -> dict[str, tuple[bytes, int]]:
    return {artefact.path: (artefact.data, artefact.mode) for artefact in artefacts}


def written_at(path: Path) -> tuple[int, int]:
    return path.stat().st_ino, path.stat().st_mtime_ns


class Stop:
    """Counts the steps and does something at one of them."""

    def __init__(self, at: int, act: str = "fail") -> None:
        self.at, self.act, self.steps, self.sealed = at, act, 0, False

    def __call__(self, step: str, path: str | Path) -> None:
        self.steps += 1
        if self.steps == self.at:
            if self.act == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        self.sealed = self.sealed or step == "seal"


def steps() -> int:
    """How many steps it takes to get from OLD to NEW."""
    with tempfile.TemporaryDirectory() as name:
        generate(Path(name), OLD)
        count = Stop(0)
        generate(Path(name), NEW, count)
        return count.steps


def test_what_is_written_is_what_was_asked_for(tmp_path: Path) -> None:
    os.umask(0o077)
    changes = generate(tmp_path / "out", OLD)
    os.umask(0o022)
    assert tree(tmp_path / "out") == wanted(OLD)
    assert changes.added == {artefact.path for artefact in OLD}
    assert (tmp_path / "out/secrets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "out/pxe").stat().st_mode & 0o777 == 0o755


def test_the_second_write_changes_only_what_differs(tmp_path: Path) -> None:
    generate(tmp_path, OLD)
    untouched = written_at(tmp_path / "nodes/m1/meta-data")
    changes = generate(tmp_path, NEW)
    assert tree(tmp_path) == wanted(NEW)
    assert changes == Changes(
        frozenset({"nodes/m2/meta-data", "nodes/m2/deep/er/file"}),
        frozenset({"nodes/m1/user-data"}),
        frozenset({"nodes/gone/meta-data"}),
    )
    assert written_at(tmp_path / "nodes/m1/meta-data") == untouched
    assert not (tmp_path / "nodes/gone").exists()


def test_the_same_again_writes_nothing(tmp_path: Path) -> None:
    generate(tmp_path, OLD)
    before = written_at(tmp_path / "manifest.json")
    assert not generate(tmp_path, OLD).all
    assert written_at(tmp_path / "manifest.json") == before


def test_a_file_that_was_spoilt_is_repaired(tmp_path: Path) -> None:
    generate(tmp_path, OLD)
    (tmp_path / "secrets/root.key").chmod(0o644)
    (tmp_path / "pxe/ca.crt").unlink()
    (tmp_path / "nodes/m1/user-data").write_bytes(b"OLD")
    changes = generate(tmp_path, OLD)
    assert tree(tmp_path) == wanted(OLD)
    assert changes.changed == {"secrets/root.key", "pxe/ca.crt", "nodes/m1/user-data"}


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"ca")
    generate(tmp_path / "out", OLD)
    (tmp_path / "out/pxe/ca.crt").unlink()
    (tmp_path / "out/pxe/ca.crt").symlink_to(victim)
    generate(tmp_path / "out", OLD)
    assert not (tmp_path / "out/pxe/ca.crt").is_symlink()
    assert victim.read_bytes() == b"ca"


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    generate(tmp_path, OLD)
    (tmp_path / "state").mkdir()
    (tmp_path / "state/store.db").write_bytes(b"rows")
    (tmp_path / "nodes/gone/notes.txt").write_bytes(b"mine")
    generate(tmp_path, NEW)
    assert tree(tmp_path) == wanted(NEW) | {
        "state/store.db": (b"rows", 0o644),
        "nodes/gone/notes.txt": (b"mine", 0o644),
    }


@pytest.mark.parametrize("at", range(1, steps() + 1))
def test_a_step_that_fails_leaves_the_old_or_the_new(tmp_path: Path, at: int) -> None:
    generate(tmp_path, OLD)
    stop = Stop(at)
    with pytest.raises(LocalError, match="the disk is full"):
        generate(tmp_path, NEW, stop)
    expected = NEW if stop.sealed else OLD
    with opened(tmp_path) as manifest:
        assert tree(tmp_path) == wanted(expected)
        assert set(manifest.entries) == {artefact.path for artefact in expected}
    generate(tmp_path, NEW)
    assert tree(tmp_path) == wanted(NEW)


@pytest.mark.parametrize("at", range(1, steps() + 1))
def test_a_kill_at_any_step_leaves_the_old_or_the_new(tmp_path: Path, at: int) -> None:
    generate(tmp_path, OLD)
    code = (
        "import sys; from pathlib import Path; from tests.unit.test_output import NEW, Stop, generate\n"
        f"generate(Path(sys.argv[1]), NEW, Stop({at}, 'kill'))"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    with opened(tmp_path) as manifest:
        found = {artefact.path for artefact in NEW} == set(manifest.entries)
        assert tree(tmp_path) == wanted(NEW if found else OLD)
    generate(tmp_path, NEW)
    assert tree(tmp_path) == wanted(NEW)


@pytest.mark.parametrize("at", range(1, steps() + 1))
def test_a_recovery_that_is_cut_short_can_be_cut_short_again(tmp_path: Path, at: int) -> None:
    generate(tmp_path, OLD)
    sealed = Stop(_step_after_seal(tmp_path))
    with pytest.raises(LocalError):
        generate(tmp_path, NEW, sealed)
    recovery = Stop(at)
    try:
        with opened(tmp_path, watch=recovery):
            pass
    except LocalError:
        with opened(tmp_path):
            pass
    assert tree(tmp_path) == wanted(NEW)


def _step_after_seal(out: Path) -> int:
    """The first step that follows the seal."""
    names: list[str] = []
    scratch = out.with_name("scratch")
    generate(scratch, OLD)
    generate(scratch, NEW, lambda step, path: names.append(step))
    return names.index("seal") + 2


def test_a_full_disk_leaves_the_folder_as_it_was(small_disk: Path) -> None:
    generate(small_disk / "out", OLD)
    huge = (*NEW, *(Artefact(f"nodes/n{number}/user-data", os.urandom(64 << 10)) for number in range(64)))
    with pytest.raises(LocalError, match="the disk is full"):
        generate(small_disk / "out", huge)
    assert tree(small_disk / "out") == wanted(OLD)
    generate(small_disk / "out", NEW)
    assert tree(small_disk / "out") == wanted(NEW)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], check=False, capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small tmpfs: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with opened(tmp_path, create=True), pytest.raises(LocalError, match="another kubeseed"), opened(tmp_path):
        pass


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(LocalError, match="not written by kubeseed"):
        generate(tmp_path, OLD)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_manifest_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "my web app"}')
    with pytest.raises(LocalError, match="not a manifest that kubeseed wrote"):
        generate(tmp_path, OLD)
    assert (tmp_path / "manifest.json").read_text() == '{"name": "my web app"}'


@pytest.mark.parametrize("path", ["../etc/passwd", "/etc/passwd", "a//b", "./a", ""])
def test_a_manifest_that_leads_out_of_the_folder_is_refused(path: str) -> None:
    data = Manifest().dump().replace(b"{}", b'{"%s": {"sha256": "", "mode": "0644", "secret": false}}' % path.encode())
    with pytest.raises(LocalError):
        Manifest.parse(data)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="no such folder"), opened(tmp_path / "out"):
        pass


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalError, match="a file stands where a folder is needed"):
        generate(tmp_path / "file/out", OLD)


def test_a_write_that_stops_halfway_leaves_the_old(tmp_path: Path) -> None:
    def broken() -> Iterator[Artefact]:
        yield NEW[0]
        raise KeyboardInterrupt

    generate(tmp_path, OLD)
    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path, broken())
    assert tree(tmp_path) == wanted(OLD)
