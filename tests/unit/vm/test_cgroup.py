"""Control groups of container nodes: where the hierarchies are, and whose groups are removed."""

from pathlib import Path

import pytest

from generator.vm import cgroup
from generator.vm.cgroup import join, mounts, sweep

MOUNTINFO = """\
28 25 0:24 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
29 28 0:25 / /sys/fs/cgroup/unified rw,nosuid shared:5 - cgroup2 cgroup2 rw
30 28 0:26 / /sys/fs/cgroup/systemd rw,nosuid shared:6 - cgroup cgroup rw,xattr,name=systemd
31 28 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:7 - cgroup cgroup rw,cpu,cpuacct
32 28 0:28 /docker/1 /sys/fs/cgroup/pids rw,nosuid shared:8 - cgroup cgroup rw,pids
33 28 0:29 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory
"""


def test_hierarchies_are_found_by_their_names() -> None:
    folder = Path("/sys/fs/cgroup")
    assert mounts(MOUNTINFO) == {
        "": folder / "unified",
        "name=systemd": folder / "systemd",
        "cpu,cpuacct": folder / "cpu,cpuacct",
        "memory": folder / "memory",
    }


def test_one_hierarchy_for_all_is_found() -> None:
    mountinfo = "30 25 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
    assert mounts(mountinfo) == {"": Path("/sys/fs/cgroup")}


def test_only_groups_without_a_process_are_removed(tmp_path: Path) -> None:
    for name in ("kubeseed-vm.dead", "kubeseed-vm.live", "other"):
        (tmp_path / name / "kubepods").mkdir(parents=True)
    # A real group's files go with its folder; here there is one only where it keeps the group.
    (tmp_path / "kubeseed-vm.live/kubepods/cgroup.procs").write_text("4711\n")
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kubeseed-vm.live", "other"]


def test_a_new_group_that_another_command_sweeps_away_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def make_and_lose_the_first(group: Path, name: str) -> Path:
        new = group / f"kubeseed-vm.{name}"
        new.mkdir()
        made.append(new)
        if len(made) == 1:
            sweep(group)
        return new

    monkeypatch.setattr(cgroup, "_make", make_and_lose_the_first)
    join(tmp_path, "m1")
    assert len(made) == 2
    assert (tmp_path / "kubeseed-vm.m1/cgroup.procs").read_text()


def test_where_no_group_can_be_made_nothing_happens(tmp_path: Path) -> None:
    join(tmp_path / "missing", "m1")
    assert list(tmp_path.iterdir()) == []
