"""Knows what an image brings: a disk, perhaps its kernel, perhaps a root folder for containers."""

from dataclasses import dataclass
from pathlib import Path

from generator.errors import LocalError

DISKS = {"disk.qcow2": "qcow2", "disk.raw": "raw"}
WANTED = "a disk file, or a folder with disk.qcow2 or disk.raw (vmlinuz, initrd.img, cmdline beside it) or with root/"


@dataclass(frozen=True, slots=True)
class Image:
    """`disk` with its format for QEMU; `kernel`, `initrd` and `command_line` when it boots without a boot loader;
    `root` for container nodes.
    """

    disk: Path | None = None
    disk_format: str = ""
    kernel: Path | None = None
    initrd: Path | None = None
    command_line: str = ""
    root: Path | None = None


def load_image(path: Path) -> Image:
    """The image at `path`: a folder of the names above, or a single disk that has its own boot loader."""
    path = path.resolve()
    if path.is_file():
        return Image(disk=path, disk_format=_format(path))
    image = _read_folder(path)
    if image.disk is None and image.root is None:
        raise LocalError.because("this is not an image", file=str(path), hint=f"an image is {WANTED}")
    return image


def _read_folder(path: Path) -> Image:
    disk = next((path / name for name in DISKS if (path / name).is_file()), None)
    kernel = path / "vmlinuz"
    command_line = path / "cmdline"
    return Image(
        disk=disk,
        disk_format=DISKS[disk.name] if disk else "",
        kernel=kernel if kernel.is_file() else None,
        initrd=path / "initrd.img" if (path / "initrd.img").is_file() else None,
        command_line=command_line.read_text(encoding="utf-8").strip() if command_line.is_file() else "",
        root=path / "root" if (path / "root").is_dir() else None,
    )


def _format(disk: Path) -> str:
    """qcow2 or raw, by the magic of qcow2's header (QEMU docs/interop/qcow2)."""
    with disk.open("rb") as file:
        return "qcow2" if file.read(4) == b"QFI\xfb" else "raw"
