"""Knows how to read the disk of a machine that is off, without mounting it."""

from pathlib import Path

from tests.lab.command import run
from tests.lab.site import Site

SKIPPED = ("dev", "proc", "sys", "run", "lost+found")


def read_disk(site: Site, node: str, target: Path) -> Path:
    """The root folder of a node that is off: a container's own, or a copy made from the virtual disk."""
    home = site.out / "vm" / node
    if (home / "root").is_dir():
        return home / "root"
    raw = target.with_suffix(".raw")
    run(["qemu-img", "convert", "-O", "raw", home / "disk.qcow2", raw])
    return unpack(raw, target)


def read_partition(disk: Path, start: int, target: Path) -> Path:
    """The files of the last partition of a raw disk, which starts at so many MiB."""
    raw = target.with_suffix(".raw")
    run(["dd", f"if={disk}", f"of={raw}", "bs=1M", f"skip={start}", "conv=sparse"], timeout=600)
    return unpack(raw, target)


def unpack(raw: Path, target: Path) -> Path:
    """The files of an ext4 file system, which is used up."""
    # Replays the journal: the machine may have lost its power. 1: something was mended, which is what it is for.
    run(["sh", "-c", 'e2fsck -fy "$1" || [ $? -eq 1 ]', "e2fsck", raw])
    target.mkdir()
    names = run(["debugfs", "-R", "ls -p /", raw]).split("\n")
    folders = [
        name for line in names if line.count("/") > 5 and (name := line.split("/")[5]) not in ("", ".", "..", *SKIPPED)
    ]
    script = "".join(f'rdump "/{name}" "{target}"\n' for name in folders)
    orders = raw.with_suffix(".orders")
    orders.write_text(script)
    run(["debugfs", "-f", orders, raw], timeout=300)
    raw.unlink()
    return target
