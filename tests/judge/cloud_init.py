"""Fetches cloud-init from Debian without installing it, and asks its own schema command for a verdict."""

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

DEPENDENCIES = ("configobj", "jinja2", "jsonpatch", "jsonschema", "oauthlib", "pyyaml", "requests", "pyserial")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


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

    @property
    def version(self) -> str:
        return self._run("--version").stdout.split()[-1]

    def user_data_verdict(self, path: Path) -> tuple[bool, str]:
        """Whether cloud-init accepts a user-data without a word of deprecation, and what it says."""
        done = self._run("schema", "--config-file", str(path))
        said = done.stdout + done.stderr
        return done.returncode == 0 and "deprecat" not in said.lower(), said

    def network_verdict(self, path: Path, scratch: Path) -> tuple[bool, str]:
        """Whether cloud-init turns it into systemd-networkd's files; before 23.4 there is no schema for it."""
        done = self._run(
            "devel", "net-convert", "--network-data", str(path), "--kind", "yaml",
            "--output-kind", "networkd", "--distro", "debian", "--directory", str(scratch),
        )  # fmt: skip
        said = done.stdout + done.stderr
        if done.returncode == 0 and self.version >= "23.4":
            done = self._run("schema", "--schema-type", "network-config", "--config-file", str(path))
            said += done.stdout + done.stderr
        return done.returncode == 0, said

    def _run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(self.python), "-W", "ignore", "-m", "cloudinit.cmd.main", *words],
            env={"PYTHONPATH": str(self.modules), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip


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
