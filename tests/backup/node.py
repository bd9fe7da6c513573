"""A node without a machine: a root of its own in a mount namespace, with the host's /usr and kubeseed's programs."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.backup.etcd import Member

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "templates"

ENTER = """
root=$1; shift
mount --rbind /usr "$root/usr"
mount --rbind "$root/.local" "$root/usr/local"
mount --rbind /etc/alternatives "$root/etc/alternatives"
mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
mount --rbind "$root/.data" "$root/var/lib/etcd"
if [ -s "$root/.small" ]; then mount -t tmpfs -o size="$(cat "$root/.small")" none "$root/var/backups/etcd"; fi
exec chroot "$root" "$@"
"""

FOLDERS = (
    "usr", "dev", "proc", "run", "tmp", "root", ".local/sbin", ".local/lib/kubeseed/bin", "etc/alternatives", "etc/ssl",
    "etc/kubernetes/manifests", "var/lib/kubelet", "var/lib/etcd", "var/backups/etcd",
)  # fmt: skip
NODE_CONF = {
    "CLUSTER": "prod",
    "ROLES": "etcd master",
    "FIRST_MASTER": "m1",
    "COORDINATORS": "",
    "KUBERNETES_VERSION": "1.30.5",
    "KUBELET_ROOT": "/var/lib/kubelet",
    "ENGINE": "containerd",
    "ETCD_TOPOLOGY": "external",
    "ETCD_DATA_DIR": "/var/lib/etcd",
    "BACKUP_DIR": "/var/backups/etcd",
    "BACKUP_SCHEDULER": "timer",
    "BACKUP_HOUR": "3",
    "BACKUP_INTERVAL_HOURS": "24",
    "BACKUP_KEEP_DAYS": "7",
    "BACKUP_UPLOAD": "",
    "BACKUP_HOOK": "",
}


# Everything that changes a disk, or passes the time in which it could be cut off.
CHANGES = ("mkdir", "chmod", "chown", "etcdctl", "sync", "sha256sum", "tar", "openssl", "mv", "rm", "cp")


@dataclass(frozen=True)
class Outcome:
    """How a program ended on a node."""

    code: int
    output: str


@dataclass(frozen=True)
class Node:
    """The root folder of one node, and the etcd member that runs there."""

    root: Path
    member: Member

    def __post_init__(self) -> None:
        for folder in FOLDERS:
            (self.root / folder).mkdir(parents=True)
        self.member.data.mkdir(parents=True, exist_ok=True)
        (self.root / ".data").symlink_to(self.member.data)
        for folder in ("bin", "sbin", "lib", "lib64"):
            (self.root / folder).symlink_to(f"usr/{folder}")
        shutil.copy("/etc/ssl/openssl.cnf", self.root / "etc/ssl/openssl.cnf")
        for name in ("passwd", "group"):
            shutil.copy(f"/etc/{name}", self.root / "etc" / name)
        self._install()

    def _install(self) -> None:
        shared = (TEMPLATES / "node" / name for name in ("lib.sh", "system.sh", "kubernetes.sh"))
        for script in shared:
            shutil.copy(script, self.library / script.name)
        shutil.copytree(TEMPLATES / "backup", self.library / "backup")
        shutil.copytree(TEMPLATES / "node" / "stage", self.library / "stage")
        for program in ("etcdctl", "etcdutl"):
            if (self.member.programs / program).exists():
                (self.library / "bin" / program).symlink_to(f"/etcd/{program}")
        shutil.copytree(self.member.programs, self.root / "etcd")
        shutil.copytree(self.member.pki, self.root / "etc/kubernetes/pki/etcd")
        # No service manager and no engine run here; a test that wants one brings it.
        self.shim("systemctl", "")
        self.shim("ctr", "exit 1")
        (self.root / "var/lib/kubelet/config.yaml").write_text("kind: KubeletConfiguration\n")
        self.configure()

    @property
    def library(self) -> Path:
        return self.root / ".local/lib/kubeseed"

    @property
    def copies(self) -> Path:
        return self.root / "var/backups/etcd"

    def configure(self, **changes: str) -> None:
        own = {"NODE": self.member.name, "ADDRESS": self.member.address, "ETCD_NAME": self.member.name}
        conf = self.root / "etc/kubeseed/node.conf"
        conf.parent.mkdir(exist_ok=True)
        conf.write_text("".join(f"{key}='{value}'\n" for key, value in {**NODE_CONF, **own, **changes}.items()))

    def run(self, program: str, *arguments: str, under: str = "", seconds: float = 120) -> Outcome:
        """Runs a program of /usr/local/lib/kubeseed/backup as root of this node, in a process group of its own."""
        path = f"/usr/local/lib/kubeseed/backup/{program}"
        command = [*under.split(), path] if under else [path]
        unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
        done = subprocess.run(
            [*unshare, "sh", "-ec", ENTER, "enter", str(self.root), *command, *arguments],
            env={"PATH": "/usr/sbin:/usr/bin", "LANG": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            start_new_session=True,
            check=False,
        )
        return Outcome(done.returncode, done.stdout)

    def backup(self, *arguments: str) -> str:
        """What `backup` says; it must succeed."""
        outcome = self.run("backup", *arguments)
        assert outcome.code == 0, outcome.output
        return outcome.output

    def ids(self) -> list[str]:
        """The copies that count, oldest first."""
        return sorted(path.name for path in self.copies.iterdir() if re.match(r"\d{8}T\d{6}Z-", path.name))

    def status(self) -> dict[str, str]:
        text = (self.root / "var/lib/kubeseed/backup.status").read_text()
        return dict(re.findall(r"^([A-Z_]+)='([^']*)'$", text, re.MULTILINE))

    def shim(self, name: str, script: str) -> None:
        """A program that is found before the real one."""
        path = self.root / ".local/sbin" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def program(self, name: str, script: str) -> None:
        """A program that `run` can start."""
        path = self.library / "backup" / name
        path.write_text(script)
        path.chmod(0o755)

    def set_clock(self, seconds: int) -> None:
        """Every `date` on this node says this moment from now on."""
        self.shim("date", f'exec /usr/bin/date -d @{seconds} "$@"')


def kill_at(node: Node, number: int) -> None:
    """The whole program dies at the NUMBERth time that something could change."""
    (node.root / "count").write_text("")
    die = f'printf x >>/count; [ "$(/usr/bin/wc -c </count)" -lt {number} ] || kill -9 0'
    for name in CHANGES:
        _wrap(node, name, die)


def live_on(node: Node) -> None:
    """Nothing dies any more."""
    for name in CHANGES:
        _wrap(node, name, ":")


def _wrap(node: Node, name: str, before: str) -> None:
    if name == "etcdctl":
        (node.library / "bin" / name).unlink(missing_ok=True)
    node.shim(name, f'{before}; exec {"/etcd" if name == "etcdctl" else "/usr/bin"}/{name} "$@"')
