"""The `kubeseed` command: mounts all commands, and turns every error into words and an exit status."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import typer.core

from generator import cli_generate, cli_import, cli_pxe, cli_seed, cli_spec
from generator.errors import ExitCode, KubeseedError
from generator.image import cli as cli_image
from generator.vm import cli as cli_vm
from http_server import cli as cli_coordinator
from http_server import cli_backup, cli_restore, cli_store

DEBUG = "KUBESEED_DEBUG"

app = typer.Typer(
    name="kubeseed",
    help="One cluster spec in; machines that turn themselves into a highly-available Kubernetes at first boot out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich and its Markdown reader would take three times as long as the rest of `--help`
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COORDINATOR = (cli_coordinator, cli_store, cli_backup, cli_restore)
for commands in (cli_spec, cli_import, cli_generate, cli_seed, *_COORDINATOR, cli_vm, cli_image, cli_pxe):
    commands.register(app)


class _Settled(typer.core.TyperCommand):
    """A command that reads OUT: a `generate` that was cut short after its seal is finished first."""

    def invoke(self, ctx: Any) -> Any:  # typer keeps the type of its context to itself
        out = ctx.params.get("out")  # a path, or what was typed: that depends on typer's version
        if out and os.access(Path(out, ".new", "COMMIT"), os.F_OK):  # False, too, where we may not look
            from generator.output import opened

            with opened(Path(out)):
                pass
        return super().invoke(ctx)


def _settle_first(commands: typer.Typer) -> None:
    for command in commands.registered_commands:
        command.cls = _Settled
    for group in commands.registered_groups:
        if group.typer_instance:
            _settle_first(group.typer_instance)


_settle_first(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def _program(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Holds the program's own options."""


@app.command()
def version() -> None:
    """Print the version of kubeseed."""
    from importlib.metadata import version as installed

    typer.echo(installed("kubeseed"))


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs a command and exits: 0 good, 1 the spec is wrong, 2 the command line is wrong, 3 the environment is."""
    _open_closed_streams()
    try:
        app(arguments)
    except KubeseedError as error:
        from generator.console import show_problems

        show_problems(error.problems)
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - the last resort: a person gets a sentence, never a traceback
        _give_up(error)
    sys.exit(ExitCode.GOOD)


def _open_closed_streams() -> None:
    """Who starts a program with its output closed (`>&-`) wants to see nothing."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))


def _give_up(error: Exception) -> NoReturn:
    """What the system refused, or a fault of kubeseed itself: its message stays unsaid, it could quote a secret."""
    if os.environ.get(DEBUG):
        raise error
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if isinstance(error.filename, str) else ""
        typer.echo(f"{place}error: reading or writing failed: {error.strerror}", err=True)
    else:
        typer.echo(
            f"error: kubeseed failed with {type(error).__name__}; this is a fault in kubeseed.\n"
            f"hint: run it again with {DEBUG}=1 and report what it prints; look through it for secrets first",
            err=True,
        )
    sys.exit(ExitCode.ENVIRONMENT)


if __name__ == "__main__":
    main()
