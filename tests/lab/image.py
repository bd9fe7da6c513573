"""Knows how an image is built: Debian's packages into a root folder, an ext4 disk of it, its kernel beside it."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.lab.cache import cached
from tests.lab.command import run
from tests.lab.recipe import DEBIAN, Recipe

UNWANTED = (
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
    "/usr/share/bash-completion/*",
)
COMMAND_LINE = "root=LABEL=root rw console=ttyS0"
MINUTES = 60

# What is mounted meanwhile, and every process, is gone when the command is, even when it is killed.
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")

Finish = Callable[[Path], None]


def debian_image() -> Path:
    """The image folder of a plain Debian with cloud-init, as `kubeseed vm up --image` takes it."""
    return built(DEBIAN)


def built(recipe: Recipe, finish: Finish | None = None, *inputs: str) -> Path:
    """The image folder of a recipe. `finish` works on its root folder; `inputs` are the digests of what it uses."""
    source = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return cached(f"image-{recipe.name}", recipe.digest(source, *inputs), lambda folder: _build(folder, recipe, finish))


def _build(folder: Path, recipe: Recipe, finish: Finish | None) -> None:
    root = folder / "root"
    _bootstrap(root, recipe, folder / "mmdebstrap.log")
    for path, text in recipe.files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
        (root / path).chmod(0o644)
    (root / "etc/hostname").unlink(missing_ok=True)
    for verb, units in (("enable", recipe.enable), ("disable", recipe.disable), ("mask", recipe.mask)):
        if units:
            run(["systemctl", "--root", root, "--quiet", verb, *units])
    if finish:
        finish(root)
    _make_disk(folder, root, recipe)


def _bootstrap(root: Path, recipe: Recipe, log: Path) -> None:
    options = [f"--dpkgopt=path-exclude={path}" for path in UNWANTED]
    include = f"--include={','.join(recipe.packages)}"
    command: list[str | Path] = ["mmdebstrap", "--variant=apt", include, *options, recipe.suite, root]
    run([*ALONE, *command], timeout=20 * MINUTES, log=log)


def _make_disk(folder: Path, root: Path, recipe: Recipe) -> None:
    for name in ("vmlinuz", "initrd.img"):
        shutil.copyfile((root / name).resolve(), folder / name)
    (folder / "cmdline").write_text(COMMAND_LINE + "\n")
    disk = folder / "disk.raw"
    run(["mkfs.ext4", "-q", "-F", "-L", "root", "-d", root, disk, f"{recipe.megabytes}M"], timeout=10 * MINUTES)
