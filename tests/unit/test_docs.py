"""Runs what the documentation shows: YAML blocks are specs that pass, console blocks print what they say."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer.main
import yaml

from generator.cli import app
from generator.parse import load_cluster

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ELISION = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """A fenced block: the page and line it stands on, its language and its text."""

    page: str
    line: int
    language: str
    text: str


def blocks(language: str) -> list[Any]:
    found = []
    for page in PAGES:
        content = page.read_text()
        for fence in FENCE.finditer(content):
            line = content.count("\n", 0, fence.start()) + 1
            if fence[1] == language:
                name = str(page.relative_to(ROOT))
                found.append(pytest.param(Block(name, line, language, fence[2]), id=f"{name}:{line}"))
    return found


def merged(base: Any, patch: Any) -> Any:
    """`patch` over `base`: mappings key by key, everything else replaced."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return base | {key: merged(base.get(key), value) for key, value in patch.items()}
    return patch


@pytest.mark.parametrize("block", blocks("yaml"))
def test_yaml_blocks_are_good_specs(block: Block, tmp_path: Path) -> None:
    data = yaml.safe_load(block.text)
    if "apiVersion" not in data:
        data = merged(yaml.safe_load((ROOT / "profiles/cluster/ha.yaml").read_text()), data)
    spec = tmp_path / "cluster.yaml"
    spec.write_text(yaml.safe_dump(data, sort_keys=False))
    cluster, _ = load_cluster(spec)
    assert cluster.nodes


@pytest.mark.parametrize("block", blocks("console"))
def test_console_blocks_print_what_they_say(block: Block, tmp_path: Path) -> None:
    (tmp_path / "profiles").symlink_to(ROOT / "profiles")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"}
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        done = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        printed = done.stdout + done.stderr
        assert doctest.OutputChecker().check_output(expected, printed, ELISION), f"$ {command}\n{printed}"


def commands(block: Block) -> list[list[str]]:
    lines = block.text.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith("kubeseed ")]


@pytest.mark.parametrize("block", blocks("sh"))
def test_commands_shown_exist_with_their_options(block: Block) -> None:
    for words in commands(block):
        command: Any = typer.main.get_command(app)  # a click.Group; which click is typer's own affair
        rest = words[1:]
        while hasattr(command, "commands"):
            assert rest, words
            assert rest[0] in command.commands, f"kubeseed has no command {' '.join(words)}"
            command, rest = command.commands[rest[0]], rest[1:]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        asked = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert asked <= known | {"--help"}, words
