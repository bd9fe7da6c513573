"""Knows the commands `kubeseed image build`, `add` and `list`. Their work is imported when they run."""

import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from generator.errors import UsageError
from generator.value import Arch

if TYPE_CHECKING:
    from generator.image.add import File
    from generator.image.store import Image

DEFAULT_STORE = Path("/var/lib/kubeseed/images")
DAY = 86400
MACHINES = {"x86_64": Arch.AMD64, "aarch64": Arch.ARM64}

Store = Annotated[Path, typer.Option("--store", metavar="DIR", help="Where images are kept.", readable=False)]
Name = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Default: the profile's id.")]
Digest = Annotated[str | None, typer.Option(metavar="SHA256", help="What its maker says that it is.")]


def build(
    profile: Annotated[str, typer.Argument(metavar="PROFILE", help="A release of Debian.", show_default=False)],
    *,
    store: Store = DEFAULT_STORE,
    name: Name = None,
    include: Annotated[list[str] | None, typer.Option(metavar="PACKAGE", help="One more package.")] = None,
    component: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="One more component, like non-free-firmware.")
    ] = None,
    mirror: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="A mirror, or a line of sources.list. Default: Debian's.")
    ] = None,
    kernel: Annotated[str | None, typer.Option(metavar="PACKAGE", help="Another kernel than the generic one.")] = None,
    kernel_arguments: Annotated[
        str, typer.Option(metavar="WORDS", help="Arguments of the installed kernel.")
    ] = "console=ttyS0,115200n8 console=tty0",
    epoch: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="Default: SOURCE_DATE_EPOCH, or last midnight.")
    ] = None,
) -> None:
    """Build a disk image, a live system and their installer. The same packages and epoch give the same bytes."""
    from generator.image.build import MMDEBSTRAP_STEPS, STEPS
    from generator.image.build import build as run
    from generator.image.recipe import Wishes, plan_image
    from generator.image.store import ImageStore

    wishes = Wishes(tuple(include or ()), tuple(component or ()), tuple(mirror or ()), kernel or "", kernel_arguments)
    recipe = plan_image(profile, _own_arch(), wishes, _epoch(epoch))
    with progress(len(STEPS) + MMDEBSTRAP_STEPS) as tell:
        image = run(recipe, name or profile, ImageStore(store), tell)
    _show([image])


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What specs will call it.", show_default=False)],
    disk: Annotated[
        Path | None,
        typer.Argument(metavar="[DISK]", help="A disk image: raw or qcow2.", show_default=False, readable=False),
    ] = None,
    *,
    sha256: Digest = None,
    kernel: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An installer's kernel, instead of DISK.", readable=False)
    ] = None,
    kernel_sha256: Digest = None,
    initrd: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An installer's initramfs.", readable=False)
    ] = None,
    initrd_sha256: Digest = None,
    installer: Annotated[str, typer.Option(metavar="NAME", help="The built image that writes DISK.")] = "",
    arch: Annotated[Arch | None, typer.Option(help="Default: this machine's.")] = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Register what somebody else made.

    That is an image, or the kernel and initramfs of a distribution's installer.
    """
    from generator.image.add import STEPS, Wanted
    from generator.image.add import add as run
    from generator.image.store import ImageStore

    if bool(disk) == bool(kernel) or bool(kernel) != bool(initrd):
        raise UsageError.because("give either DISK, or --kernel and --initrd")
    own = _file(kernel, kernel_sha256), _file(initrd, initrd_sha256)
    wanted = Wanted(_checked_name(name), arch or _own_arch(), _file(disk, sha256), *own, installer)
    with progress(len(STEPS)) as tell:
        image = run(wanted, ImageStore(store), int(time.time()), tell)
    _show([image])


def list_images(
    store: Store = DEFAULT_STORE,
    *,
    check: Annotated[bool, typer.Option("--check", help="Read every file and compare its digest.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show the images that machines can be booted into."""
    from dataclasses import asdict

    from generator.console import show_json
    from generator.errors import LocalError
    from generator.image.store import ImageStore

    opened = ImageStore(store)
    images = opened.images()
    if as_json:
        show_json({name: asdict(image) for name, image in images.items()})
    else:
        _show(list(images.values()))
    damaged = {name: opened.damaged(image) for name, image in images.items()} if check else {}
    for name, parts in damaged.items():
        if parts:
            hint = f"build it again or add it again: {name}"
            raise LocalError.because(f"{', '.join(parts)} of {name} is damaged or missing", file=str(store), hint=hint)


@contextmanager
def progress(steps: int) -> Iterator[Callable[[str], None]]:
    """A bar of so many steps on standard error, one line for each step where there is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False)
    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    began = time.monotonic()
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=steps, completed=-1)

        def tell(step: str) -> None:
            bar.update(task, advance=1, description=step[:60])
            if not console.is_terminal:
                typer.echo(f"{time.monotonic() - began:6.1f} s  {step[:60]}", err=True)

        yield tell


def _show(images: "Sequence[Image]") -> None:
    from generator.console import show_table

    rows = [
        (image.name, image.arch, part, f"{blob.size / 1e6:.0f} MB", blob.sha256, image.source)
        for image in images
        for part, blob in image.blobs.items()
    ]
    show_table(("image", "arch", "part", "size", "sha256", "source"), rows)


def _file(path: Path | None, digest: str | None) -> "File | None":
    from generator.image.add import File

    if path is None:
        return None
    if not digest:
        raise UsageError.because(f"the SHA-256 of {path} is missing", hint="its maker publishes it beside the image")
    return File(path, digest.lower())


def _checked_name(name: str) -> str:
    import re

    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,62}", name):
        raise UsageError.because(f"{name!r} cannot name an image", hint="lower-case letters, digits, '.', '_' and '-'")
    return name


def _own_arch() -> Arch:
    return MACHINES.get(platform.machine(), Arch.AMD64)


def _epoch(given: int | None) -> int:
    """SOURCE_DATE_EPOCH (reproducible-builds.org), else the last midnight in UTC: the same for a whole day."""
    told = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given is not None:
        return given
    return int(told) if told.isdigit() else int(time.time()) // DAY * DAY


def register(app: typer.Typer) -> None:
    """Mounts the commands on the program."""
    image = typer.Typer(help="Images for booting over the network (needs Linux).", no_args_is_help=True)
    image.command()(build)
    image.command()(add)
    image.command("list")(list_images)
    app.add_typer(image, name="image")
