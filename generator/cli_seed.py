"""Knows the small commands around seeds: discs to boot machines with, and hashes of passwords."""

from pathlib import Path
from typing import Annotated

import typer

from generator.cli_spec import OutFolder

Nodes = Annotated[
    list[str] | None, typer.Argument(metavar="NODE", help="Nodes of the cluster. Default: all.", show_default=False)
]


def iso(
    out: OutFolder,
    nodes: Nodes = None,
    *,
    folder: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="DIR", help="Where the discs go, as NODE.iso. Default: OUT/discs.", readable=False
        ),
    ] = None,
) -> None:
    """Write seeds as discs that cloud-init finds.

    A disc is labelled CIDATA. It holds the node's enrolment secret, so only you may read it.
    """
    from generator.console import say
    from generator.disk import describe, replace_file
    from generator.iso import seed_iso
    from generator.output import opened
    from generator.workspace import read_seed, seed_names

    target = folder or out / "discs"
    with opened(out):
        for name in seed_names(out, nodes or ()):
            disc = seed_iso(read_seed(out, name))
            with describe(target):
                target.mkdir(parents=True, exist_ok=True)
                replace_file(target / f"{name}.iso", disc)
            say(str(target / f"{name}.iso"))


def hash_password() -> None:
    """Hash a password for the spec's passwordHash.

    The password is asked for, or read from standard input; it is never an argument.
    """
    from generator.console import say
    from generator.password import ask_password, hash_password

    say(hash_password(ask_password()))


def register(app: typer.Typer) -> None:
    """Mounts the commands on the program."""
    app.command()(iso)
    app.command()(hash_password)
