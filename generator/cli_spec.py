"""Knows the commands about a spec: start one, check it, look things up."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

# Everywhere `readable=False`: what cannot be read is the machine's fault (3), not the command line's (2).
SpecFile = Annotated[
    Path, typer.Argument(metavar="SPEC", help="The cluster spec, a YAML file.", show_default=False, readable=False)
]
OutFolder = Annotated[
    Path, typer.Argument(metavar="OUT", help="The folder that `generate` wrote.", show_default=False, readable=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")]
Strict = Annotated[bool, typer.Option("--strict", help="Treat warnings as errors.")]


def new(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where to write it. Default: standard output.", readable=False)
    ] = None,
    *,
    example: Annotated[
        str, typer.Option(metavar="NAME", help="What to start from: minimal, ha or starter.")
    ] = "minimal",
) -> None:
    """Start a cluster spec from an example."""
    from generator.console import say
    from generator.disk import create_file
    from generator.example import load_example

    text = load_example(example)
    if file is None or file == Path("-"):
        say(text.rstrip("\n"))
        return
    create_file(file, text.encode())
    say(f"wrote {file}; edit it, then: kubeseed validate {shlex.quote(str(file))}")


def validate(spec: SpecFile, *, strict: Strict = False, as_json: AsJson = False) -> None:
    """Check a spec; all problems are told at once."""
    from generator.console import say, show_json, show_problems
    from generator.errors import ExitCode, SpecError
    from generator.parse import load_cluster

    try:
        _, problems = load_cluster(spec, strict=strict)
        good = True
    except SpecError as error:
        problems, good = error.problems, False
    if as_json:
        show_json({"good": good, "problems": [asdict(problem) for problem in problems]})
    else:
        show_problems(problems)
        if good:
            say(f"{spec} is good" + (f", {len(problems)} to look at" if problems else ""))
    raise typer.Exit(ExitCode.GOOD if good else ExitCode.SPEC)


def schema() -> None:
    """Print the spec's JSON schema, for editors."""
    from generator.console import say
    from generator.schema import schema_text

    say(schema_text().rstrip("\n"))


def explain(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A key of the spec, like network.podSubnet.")] = "",
    *,
    recursive: Annotated[bool, typer.Option("--recursive", help="All keys below it, too.")] = False,
) -> None:
    """Say what a key of the spec means, and its default."""
    from generator.console import say
    from generator.explain import explain as words

    say(words(key, recursive=recursive).rstrip("\n"))


def profiles(
    *,
    proof: Annotated[bool, typer.Option("--proof", help="What was shown of each, by which test, and when.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the operating systems for nodes, and their proofs."""
    from generator.console import say, show_json, show_table
    from generator.profile import load_profiles
    from generator.proof import MEANINGS, highest, load_claims

    found, claims = load_profiles().values(), load_claims()
    of = {profile.id: [claim for claim in claims if claim.os == profile.id] for profile in found}
    if as_json:
        told = {name: [claim._asdict() for claim in own] for name, own in of.items()}
        show_json(
            [{**profile.model_dump(by_alias=True, warnings=False), "proven": told[profile.id]} for profile in found]
        )
    elif proof:
        rows = ((claim.os, claim.level.value, claim.date, claim.what, claim.test) for claim in claims)
        show_table(("os", "proven", "on", "what", "by"), rows)
    else:
        short = ((p.id, p.name, " ".join(p.arches), p.installer.value, p.cloud_init, highest(of[p.id])) for p in found)
        show_table(("os", "name", "architectures", "installer", "cloud-init", "proven"), short)
        say("")
        for level, meaning in MEANINGS.items():
            say(f"{level}: {meaning}")


def register(app: typer.Typer) -> None:
    """Mounts the commands on the program."""
    for command in (new, validate, schema, explain, profiles):
        app.command()(command)
