"""Knows how to run the node scripts for real, as root, on a machine of their own.

The machine is a bubblewrap sandbox with its own disk, network, processes and host name, where programs that would
change a system are stand-ins.
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

TEMPLATES = Path(__file__).resolve().parents[2] / "templates" / "node"
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID")
FOLDERS = "etc/ssl/certs root tmp var/log var/stand-in usr/local/sbin usr/local/bin usr/local/lib proc dev sys run"
TOOLS = ("bwrap", "unshare", "nsenter", "busybox", "curl", "openssl", "shellcheck")
FACTS: Mapping[str, str] = {
    "CLUSTER": "prod", "PROGRAMS": "", "NODE": "m1", "GENERATION": "1", "ROLES": "etcd master", "FIRST_MASTER": "m1",
    "ADDRESS": "127.0.0.1", "MACS": "52:54:00:00:00:11", "COORDINATORS": "", "SEED_TIME": "1700000000",
    "STAGES": "preflight clock enrol files base scrub", "SKIP_STAGES": "", "OS_ID": "debian", "OS_VERSION": "12",
    "ARCH": "amd64 arm64", "PACKAGE_MANAGER": "apt", "MIN_CPUS": "1", "MIN_MEMORY_MIB": "64", "MIN_KERNEL": "3.10",
    "TIMEZONE": "", "NTP_SERVERS": "", "DISABLE_FIREWALL": "1", "HTTP_PROXY": "", "HTTPS_PROXY": "", "NO_PROXY": "",
    "KUBERNETES_VERSION": "1.20.2", "CNI_VERSION": "", "PAUSE_IMAGE": "k8s.gcr.io/pause:3.2",
    "KUBEADM_API": "v1beta2", "IMAGE_REPOSITORY": "k8s.gcr.io", "ENGINE_IMAGES": "",
    "ENGINE": "containerd", "ENGINE_VERSION": "",
    "CRI_SOCKET": "unix:///run/containerd/containerd.sock", "LB_MODE": "local", "LB_ENGINE": "",
    "LB_PORT": "8443", "LB_HEALTH_PORT": "8081", "LB_VIP": "", "ENDPOINT": "127.0.0.1:8443",
    "ETCD_TOPOLOGY": "external", "ETCD_NAME": "etcd-m1", "ETCD_DATA_DIR": "/var/lib/etcd",
    "KUBELET_ROOT": "/var/lib/kubelet", "JOIN_MODE": "token", "CERTIFICATES": "", "NETWORK_PLUGIN": "none",
    "LABELS": "", "TAINTS": "",
}  # fmt: skip
OS_RELEASE = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'


class Machine:
    """A machine with a disk below `root`; what is in /run and every process is gone after a power cut."""

    def __init__(self, root: Path, shell: str = "dash", **facts: str) -> None:
        self.root = root
        self.shell = shell
        self.facts = {**FACTS, **facts}
        network = "ip link set lo up && echo up && exec sleep infinity"
        self._network = subprocess.Popen(["unshare", "--net", "sh", "-c", network], stdout=subprocess.PIPE)
        assert self._network.stdout
        assert self._network.stdout.readline() == b"up\n"
        self._running: subprocess.Popen[str] | None = None
        self._install_system()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut_power()
        self._network.kill()
        self._network.communicate()

    def listen(self, port: int = 0, address: str = "127.0.0.1") -> socket.socket:
        """A listening socket on the machine's own loopback (port 0: a free one), made by a thread that visits it."""
        made: list[socket.socket] = []

        def visit() -> None:
            with Path(f"/proc/{self._network.pid}/ns/net").open() as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0):
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.create_server((address, port)))

        thread = threading.Thread(target=visit)
        thread.start()
        thread.join()
        return made[0]

    def listen_unix(self, name: str) -> None:
        """A socket file, such as a container engine leaves."""
        if not self.path(name).exists():
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(self.path(name)))

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def read(self, name: str) -> str:
        return self.path(name).read_text()

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def seed(self, ca: str, enrol: str | None, **facts: str) -> None:
        """Lands what an installer would: scripts without comments, facts, the root and, when sealed, the secret."""
        self.facts.update(facts)
        library = self.path("usr/local/lib/kubeseed")
        shutil.copytree(TEMPLATES, library, dirs_exist_ok=True)
        for script in (path for path in library.rglob("*") if path.is_file()):
            script.write_text(without_comments(script.read_text()))
        self.write("etc/kubeseed/node.conf", "".join(f"{key}='{value}'\n" for key, value in self.facts.items()))
        self.write("etc/kubeseed/ca.crt", ca)
        if enrol:
            self.write("etc/kubeseed/enrol.curl", f'header = "Authorization: Enrolment {enrol}"\n', 0o600)

    def start(self, *command: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Powers the machine on: runs the command, by default the runner, as its only service."""
        environment = {"PATH": "/usr/local/sbin:/usr/sbin:/usr/bin", **(environment or {})}
        program = command or ("/usr/local/lib/kubeseed/run",)
        self._running = subprocess.Popen(
            ["nsenter", f"--net=/proc/{self._network.pid}/ns/net", *self._bwrap(), *program],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, env=environment,
        )  # fmt: skip
        return self._running

    def boot(self, *command: str, seconds: float = 60) -> tuple[int, str]:
        """Power on, wait for the command's end: exit status and everything it printed."""
        self.start(*command)
        return self.finish(seconds)

    def boot_until(self, words: str, seconds: float = 120) -> None:
        """Power on, and off again as soon as these words were printed."""
        output = self.start("timeout", str(seconds), "/usr/local/lib/kubeseed/run").stdout
        assert output
        printed: list[str] = []
        while line := output.readline():
            printed.append(line)
            if words in line:
                break
        self.cut_power()
        assert words in printed[-1], "".join(printed)

    def finish(self, seconds: float = 60) -> tuple[int, str]:
        """Waits for the end of what was started; what has not ended by then is killed (status -9)."""
        assert self._running
        process = self._running
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        self.cut_power()
        return process.returncode, output

    def cut_power(self) -> None:
        """Every process of the machine dies at once; only its disk stays."""
        if self._running:
            self._running.send_signal(signal.SIGKILL)
            self._running.wait()
            if self._running.stdout:
                self._running.stdout.close()
            self._running = None

    def calls(self, program: str) -> list[str]:
        """The command lines with which a stand-in was called, in order."""
        log = self.path("var/stand-in/calls")
        lines = log.read_text().splitlines() if log.exists() else []
        return [line.partition(" ")[2] for line in lines if line.partition(" ")[0] == program]

    def _install_system(self) -> None:
        for folder in FOLDERS.split():
            self.path(folder).mkdir(parents=True, exist_ok=True)
        for name in ("passwd", "group", "ld.so.cache", "ssl/openssl.cnf"):
            shutil.copy(f"/etc/{name}", self.path(f"etc/{name}"))
        self.write("etc/shadow", "root:*:19000:0:99999:7:::\nops:!:19000:0:99999:7:::\n", 0o600)
        self.write("etc/passwd", self.read("etc/passwd") + "ops:x:4711:4711::/home/ops:/bin/sh\n")
        self.write("etc/os-release", OS_RELEASE)
        self.write("etc/hosts", "127.0.0.1 localhost\n")
        self.write("etc/fstab", "LABEL=root / ext4 rw 0 1\nUUID=0 none swap sw 0 0\n")
        for link in ("bin", "sbin", "lib", "lib64"):
            self.path(link).symlink_to(f"usr/{link}")
        self.install_stand_ins()

    def install_stand_ins(self, folder: str = "stand-in") -> None:
        """The programs of tests/node/FOLDER take the place of what a system, or a cluster, would bring."""
        for program in (Path(__file__).parent / folder).iterdir():
            shutil.copy(program, self.path(f"usr/local/sbin/{program.name}"))

    def _bwrap(self) -> list[str]:
        local, shell = self.path("usr/local"), shutil.which(self.shell)
        options = f"""--die-with-parent --unshare-pid --unshare-ipc --unshare-uts --hostname {self.facts["NODE"]}
            --bind {self.root} / --ro-bind /usr /usr --bind {local} /usr/local --ro-bind {shell} /usr/bin/dash
            --dev /dev --proc /proc --ro-bind /proc/sys /proc/sys --ro-bind /sys /sys
            --tmpfs /run --dir /run/systemd/system --chdir /"""
        return ["bwrap", *options.split(), *(part for name in CAPABILITIES for part in ("--cap-add", f"CAP_{name}"))]


def without_comments(script: str) -> str:
    """The script as a seed carries it."""
    kept = (line for line in script.splitlines(keepends=True) if not line.lstrip().startswith("#"))
    return "".join([*([script.partition("\n")[0] + "\n"] if script.startswith("#!") else []), *kept])


def arguments_and_environments(under: int) -> set[str]:
    """The command lines and environments of all processes below the process `under`, as any user could read them."""
    children: dict[int, list[int]] = {}
    lines: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            lines[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            lines[int(folder.name)] += (folder / "environ").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended while we looked
        children.setdefault(parent, []).append(int(folder.name))
    seen: set[str] = set()
    queue = [under]
    while queue:
        process = queue.pop()
        seen.add(lines.get(process, ""))
        queue += children.get(process, [])
    return seen


def words(output: str) -> str:
    """What was printed, without the frames and line breaks that are made for people."""
    return " ".join(output.replace("|", " ").split())


def assert_root() -> str | None:
    """Why the machines of this folder cannot run here, or None."""
    if os.geteuid():
        return "needs root: namespaces and file modes are tested for real"
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    return f"needs {', '.join(missing)}" if missing else None
