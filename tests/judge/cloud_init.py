"""Fetches cloud-init from Debian without installing it, and asks its own schema command for a verdict."""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

DEPENDENCIES = ("configobj", "jinja2", "jsonpatch", "jsonschema", "oauthlib", "pyyaml", "requests", "pyserial")
# Runs in cloud-init's own Python: what its command line does for each list of words, as exit status and words.
ASK = """
import contextlib, io, json, sys
from cloudinit.cmd.main import main
answers = []
for words in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try: status = main(["cloud-init", *words])
        except SystemExit as ended: status = ended.code
        except Exception as error: status = repr(error)
    answers.append([status, said.getvalue()])
print(json.dumps(answers))
"""
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


Verdict = tuple[bool, str]
System = Literal["debian", "rhel", "ubuntu"]
# What cloud-init writes there when it sets up the network.
RENDERERS: Mapping[System, str] = {"debian": "eni", "rhel": "sysconfig", "ubuntu": "netplan"}


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "kubeseed" / "judge"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run(*words: str, cwd: Path | None = None) -> None:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"


def debian_mirror() -> str:
    """The mirror this machine already uses, so that a site's own mirror is honoured."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    return next((site for site in listed if "security" not in site), "http://deb.debian.org/debian")


def download(suite: str, folder: Path) -> Path:
    """The cloud-init package of a Debian suite, verified by apt in a state folder of its own."""
    state = folder / "apt"
    for name in ("lists/partial", "cache/archives/partial", "etc"):
        (state / name).mkdir(parents=True, exist_ok=True)
    sources = state / "etc" / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {debian_mirror()} {suite} main\n")
    options = (
        "-qq", "-o", f"Dir::Etc::SourceList={sources}", "-o", "Dir::Etc::SourceParts=/dev/null",
        "-o", f"Dir::State::Lists={state / 'lists'}", "-o", f"Dir::Cache={state / 'cache'}",
        "-o", "APT::Sandbox::User=root", "-o", "Dir::State::Status=/dev/null",
    )  # fmt: skip
    run("apt-get", *options, "update")
    run("apt-get", *options, "download", "cloud-init", cwd=folder)
    return next(folder.glob("cloud-init_*.deb"))


@dataclass(frozen=True)
class CloudInit:
    """One release of cloud-init, unpacked, with a Python of its own."""

    python: Path
    modules: Path

    @cached_property
    def version(self) -> str:
        return self._run("-m", "cloudinit.cmd.main", "--version").split()[-1]

    def user_data_verdicts(self, paths: Sequence[Path]) -> list[Verdict]:
        """Whether cloud-init accepts each user-data without a word of deprecation, and what it says."""
        answers = self._ask([("schema", "--config-file", str(path)) for path in paths])
        return [(good and "deprecat" not in said.lower(), said) for good, said in answers]

    def network_verdicts(self, paths: Sequence[Path], scratch: Path, system: System = "debian") -> list[Verdict]:
        """Whether cloud-init turns each into the files of that system below `scratch`, in folders 0, 1 and so on.

        From 23.4 on it has a schema for them, too.
        """
        answers = self._ask([
            ("devel", "net-convert", "--network-data", str(path), "--kind", "yaml", "--output-kind", RENDERERS[system],
             "--distro", system, "--directory", str(scratch / str(number)))
            for number, path in enumerate(paths)
        ])  # fmt: skip
        if self.version >= "23.4":
            schema = ("schema", "--schema-type", "network-config", "--config-file")
            judged = self._ask([(*schema, str(path)) for path in paths])
            answers = [(a and b, said + more) for (a, said), (b, more) in zip(answers, judged, strict=True)]
        return answers

    def user_data_verdict(self, path: Path) -> Verdict:
        return self.user_data_verdicts([path])[0]

    def network_verdict(self, path: Path, scratch: Path) -> Verdict:
        return self.network_verdicts([path], scratch)[0]

    def _ask(self, commands: Sequence[Sequence[str]]) -> list[Verdict]:
        """cloud-init's commands, one after the other in one process, because starting takes longer than judging."""
        answers = json.loads(self._run("-c", ASK, json.dumps(commands)))
        return [(not status, said) for status, said in answers]

    def _run(self, *words: str) -> str:
        return subprocess.run(
            [str(self.python), "-W", "ignore", *words],
            env={"PYTHONPATH": str(self.modules), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdout=subprocess.PIPE, text=True, check=True, timeout=300,
        ).stdout  # fmt: skip


def cloud_init(suite: str) -> CloudInit:
    """cloud-init of a Debian suite (`bookworm`, or `sid` for the newest), from the cache or the mirror."""
    folder = cache() / f"cloud-init-{suite}-python{sys.version_info.major}.{sys.version_info.minor}"
    found = CloudInit(folder / "venv" / "bin" / "python", folder / "tree" / "usr/lib/python3/dist-packages")
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        run("dpkg-deb", "-x", str(download(suite, folder)), str(folder / "tree"))
        venv.create(folder / "venv", with_pip=True)
        run(str(found.python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *DEPENDENCIES)
        (folder / "complete").touch()
    return found
