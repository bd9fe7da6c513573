"""The unit at work: a real systemd runs the coordinator in a container, as its own user and with nothing more."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from generator.vm import nspawn
from http_server.unit import systemd_unit
from tests.http.outfolder import OutFolder
from tests.http.process import REPOSITORY, Coordinator, Machine, fresh_out
from tests.http.wait import wait_for
from tests.lab.command import LabError
from tests.lab.namespace import Namespace, namespace
from tests.lab.run import Run
from tests.lab.service import Service

pytestmark = pytest.mark.vm

PORT, OUT, USER_ID = 8443, Path("/var/lib/kubeseed/out"), 990
UNIT = "kubeseed-coordinator.service"
# Debian's own Python, with the libraries of the environment that tests: the very ones that the tests have run with.
PROGRAM = """#!/bin/sh
PYTHONPATH=/opt/kubeseed/source:/opt/kubeseed/site PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH PYTHONDONTWRITEBYTECODE
exec /usr/bin/python3 -c 'from generator.cli import main; main()' "$@"
"""


@dataclass
class Host:
    """A container with systemd in which the coordinator is a service."""

    root: Path
    network: Namespace
    container: Service
    out: OutFolder

    @property
    def first(self) -> str:
        """The process id of the container's first process; nothing while there is none yet."""
        children = Path(f"/proc/{self.container.pid}/task/{self.container.pid}/children").read_text().split()
        return children[0] if children else ""

    def call(self, *words: str) -> str:
        """A command inside; its output."""
        inside = ["nsenter", f"--target={self.first}", "--all", *words]
        done = subprocess.run(inside, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout.strip() or done.stderr.strip()

    def state(self) -> str:
        return self.call("systemctl", "is-active", UNIT)

    def enrol(self, machine: Machine, scratch: Path) -> str:
        """The status of an enrolment over TLS, asked from the container's own network; nothing when nobody listens."""
        header = scratch / "header"
        header.write_text(f"Authorization: {self.out.seal(machine.name)}\n")
        fields = [word for key, value in flat(machine) for word in ("--data-urlencode", f"{key}={value}")]
        url = f"https://127.0.0.1:{PORT}/v1/enrol"
        root = str(self.out.root / "secrets" / "root.crt")
        words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", root, "-H", f"@{header}"]
        try:
            return self.network.call([*words, *fields, url])
        except LabError:
            return ""


def flat(machine: Machine) -> Iterator[tuple[str, str]]:
    for key, value in machine.form().items():
        yield from ((key, each) for each in (value if isinstance(value, list) else [value]))


@contextmanager
def overlay(lower: Path, folder: Path) -> Iterator[Path]:
    """A root that can be written to, and leaves the image as it is."""
    for name in ("upper", "work", "root"):
        (folder / name).mkdir()
    options = f"lowerdir={lower},upperdir={folder / 'upper'},workdir={folder / 'work'}"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", folder / "root"], check=True)
    try:
        yield folder / "root"
    finally:
        subprocess.run(["umount", "--lazy", folder / "root"], check=True)


@contextmanager
def memory(folder: Path) -> Iterator[Path]:
    """An overlay's upper layer may not lie on another overlay."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755,size=1g", "kubeseed-test", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def furnish(root: Path, scratch: Path) -> OutFolder:
    """User, OUT, key, program and unit, as docs/coordinator.md says."""
    nspawn._adapt(root)
    (root / "etc/cloud/cloud-init.disabled").touch()
    # Its network namespace has no card that could come up.
    (root / "etc/systemd/system/systemd-networkd-wait-online.service").symlink_to("/dev/null")
    with (root / "etc/passwd").open("a") as passwd, (root / "etc/group").open("a") as group:
        passwd.write(f"kubeseed:x:{USER_ID}:{USER_ID}::/nonexistent:/usr/sbin/nologin\n")
        group.write(f"kubeseed:x:{USER_ID}:\n")
    made = fresh_out(scratch, PORT)
    inside = root / OUT.relative_to("/")
    shutil.copytree(made.root, inside)
    key = root / "etc/kubeseed/keyring.key"
    key.parent.mkdir()
    shutil.move(inside / "state" / "keyring.key", key)
    for path in (inside, *inside.rglob("*")):
        os.chown(path, USER_ID, USER_ID)
    program = root / "usr/local/bin/kubeseed"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    options = ("--workers", "2", "--listen", f"0.0.0.0:{PORT}")
    credential = Path("/etc/kubeseed/keyring.key")
    text = systemd_unit(Path("/usr/local/bin/kubeseed"), OUT, options, "kubeseed", credential, [PORT])
    (root / "etc/systemd/system" / UNIT).write_text(text)
    (root / "etc/systemd/system/multi-user.target.wants").mkdir(exist_ok=True)
    (root / "etc/systemd/system/multi-user.target.wants" / UNIT).symlink_to(f"../{UNIT}")
    return OutFolder(inside, made.inventory, made.secrets)


@pytest.fixture
def host(lab: Run, debian: Path, tmp_path: Path) -> Iterator[Host]:
    import cryptography

    site = Path(cryptography.__file__).parents[1]
    with (
        TemporaryDirectory(prefix="ks-") as short,  # a socket's path has at most 107 bytes
        memory(Path(short) / "memory") as room,
        overlay(debian / "root", room) as root,
        namespace(lab, "unit") as network,
    ):
        out = furnish(root, tmp_path)
        words: list[str | Path] = [
            "systemd-nspawn", "--directory", root, "--boot", "--machine=ks-unit", "--register=no", "--keep-unit",
            f"--network-namespace-path=/run/netns/{network.name}", "--resolv-conf=off", "--timezone=off",
            "--link-journal=no", "--capability=all", f"--bind-ro={site}:/opt/kubeseed/site",
            *(f"--bind-ro={REPOSITORY / name}:/opt/kubeseed/source/{name}" for name in ("generator", "http_server")),
        ]  # fmt: skip
        environment = {**lab.environment, "SYSTEMD_SECCOMP": "0"}
        with Service(network.inside(words), tmp_path / "console.log", environment) as container:
            made = Host(root, network, container, out)
            wait_for(lambda: bool(made.first) and "active" in made.state(), 240)
            yield made
            made.call("systemctl", "poweroff")
            wait_for(lambda: not container.running, 60)


def test_a_real_systemd_runs_it(host: Host, tmp_path: Path) -> None:
    coordinator = Coordinator(host.out, PORT, 0)
    wait_for(lambda: host.state() == "active" and (host.out.root / "state" / "admin.sock").exists(), 120)
    first = coordinator.machine("w1")
    wait_for(lambda: host.enrol(first, tmp_path) == "200", 60)
    assert coordinator.status()["nodes"]["w1"]["state"] == "bound"
    pid = host.call("systemctl", "show", "--value", "--property=MainPID", UNIT)
    status = dict(
        line.partition(":\t")[::2] for line in host.call("cat", f"/proc/{pid}/status").splitlines() if ":\t" in line
    )
    assert set(status["Uid"].split()) == {str(USER_ID)}
    assert (status["NoNewPrivs"], status["Seccomp"], int(status["CapEff"], 16)) == ("1", "2", 0)
    mounts = host.call("cat", f"/proc/{pid}/mountinfo").splitlines()
    (top,) = (line.split() for line in mounts if line.split()[4] == "/")
    assert top[5].startswith("ro"), top
    host.out.add_worker("w3")
    host.out.write_inventory()
    assert host.call("systemctl", "reload", UNIT) == ""
    wait_for(lambda: "w3" in coordinator.status()["nodes"], 20)
    host.call("systemctl", "kill", "--kill-whom=main", "--signal=KILL", UNIT)
    wait_for(lambda: host.call("systemctl", "show", "--value", "--property=NRestarts", UNIT) == "1", 60)
    second = coordinator.machine("w2")
    wait_for(lambda: host.state() == "active" and host.enrol(second, tmp_path) == "200", 120)
    host.call("systemctl", "stop", UNIT)
    assert host.call("systemctl", "show", "--value", "--property=Result", UNIT) == "success"
    journal = host.call("journalctl", "-u", UNIT, "-o", "cat")
    assert " audit " in journal
    assert "Traceback" not in journal
