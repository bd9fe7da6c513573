"""Knows the command `import`: a cluster spec from what another tool was told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from generator.errors import ExitCode, Severity, SpecError, UsageError
from generator.nearest import choice_hint

if TYPE_CHECKING:  # imported when the command runs, so that `--help` stays quick
    from generator.importer import Imported
    from generator.profile import Profile

COORDINATOR = "https://coordinator.example:8443"

imports = typer.Typer(no_args_is_help=True, help="Make a spec from what another tool was told.")


@imports.command("kubeadm-ha")
def kubeadm_ha(
    hosts: Annotated[
        Path, typer.Argument(metavar="HOSTS", help="The inventory, hosts.ini.", show_default=False, readable=False)
    ],
    variables: Annotated[
        Path | None, typer.Argument(metavar="VARIABLES", help="The file of variables, variables.yaml.", readable=False)
    ] = None,
    *,
    spec: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="SPEC", help="Where to write it. Default: standard output.", readable=False
        ),
    ] = None,
    coordinator: Annotated[
        str, typer.Option(metavar="URL", help="Where `kubeseed serve` will listen, https.")
    ] = COORDINATOR,
    os: Annotated[str, typer.Option(metavar="OS", help="What the machines are to run.")] = "debian-12",
    name: Annotated[str, typer.Option(metavar="NAME", help="What the cluster is called.")] = "imported",
) -> None:
    """Write kubeadm-ha's inventory and variables as a cluster spec.

    Unsafe defaults that were replaced, and variables that could not be carried over, are told on standard error.
    """
    from generator.console import say, show_problems
    from generator.disk import create_file
    from generator.profile import load_profiles

    profiles = load_profiles()
    imported = _imported(hosts, variables, _profile(os, profiles), name, coordinator)
    if spec is None:
        say(imported.text.rstrip("\n"))
    else:
        create_file(spec, imported.text.encode())
    show_problems(imported.warnings)
    _check(imported, profiles, str(spec or "the spec"))
    if spec is not None:
        say(f"wrote {spec}; {len(imported.warnings)} things to know, told above and at its top")
        say(f"next: edit what is marked (1) to (4), then: kubeseed validate {spec}")


def _imported(hosts: Path, variables: Path | None, profile: Profile, name: str, coordinator: str) -> Imported:
    from generator.importer import Frame, import_spec
    from generator.source import read_bytes, read_text
    from generator.value import InvalidValueError, parse_https_url, parse_label

    try:
        frame = Frame(parse_label(name), profile.id, parse_https_url(coordinator))
    except InvalidValueError as error:
        raise UsageError.because(str(error), hint=error.hint) from None
    given = (str(variables), read_bytes(variables, "file of variables")) if variables else None
    return import_spec(read_text(hosts, "inventory"), given, profile, frame, file=str(hosts))


def _profile(os: str, profiles: Mapping[str, Profile]) -> Profile:
    if os not in profiles:
        raise UsageError.because(f"there is no profile {os!r}", hint=choice_hint(os, profiles))
    return profiles[os]


def _check(imported: Imported, profiles: Mapping[str, Profile], file: str) -> None:
    """What the inventory itself got wrong is told as `validate` would; SpecError then."""
    from generator.console import show_problems
    from generator.parse import parse_cluster

    try:
        parse_cluster(imported.text, profiles, file=file)
    except SpecError as error:
        wrong = [problem for problem in error.problems if problem.severity is Severity.ERROR]
        show_problems(wrong)
        raise typer.Exit(ExitCode.SPEC) from None


def register(app: typer.Typer) -> None:
    """Mounts the commands on the program."""
    app.add_typer(imports, name="import")
