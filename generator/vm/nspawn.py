"""Knows how systemd-nspawn runs a node: real systemd, cloud-init and kubelet at native speed on this host's kernel."""

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from generator.errors import LocalError
from generator.vm.cgroup import own_groups
from generator.vm.image import Image
from generator.vm.machine import DriverName, Machine
from generator.vm.network import Bridge
from generator.vm.process import Process, run, spawn
from generator.vm.seed import LocalSeed, Seed, UrlSeed

ROOT = "root"
LEADER = "leader"
LEADER_SECONDS = 15.0
# systemd(1), SIGRTMIN+4: start poweroff.target.
POWER_OFF = signal.SIGRTMIN + 4
# The inner card has the node's MAC address but, as every veth, no permanent one, and that is what netplan matches by.
CLOUD_INIT = "system_info: {network: {renderers: [networkd, network-manager, sysconfig, eni]}}\n"
CLOUD_INIT_PATH = "etc/cloud/cloud.cfg.d/95_kubeseed_vm.cfg"
UNIT = "kubeseed-vm.service"
UNIT_FOLDER = "etc/systemd/system"
PREPARE_PATH = "usr/local/lib/kubeseed-vm/prepare"


@dataclass(frozen=True, slots=True)
class Nspawn:
    """Runs machines as containers that boot. Needs root and a bridge."""

    image: Image
    network: Bridge

    @property
    def name(self) -> DriverName:
        return DriverName.NSPAWN

    @property
    def summary(self) -> str:
        return "systemd-nspawn"

    def prepare(self, machine: Machine, seed: Seed) -> None:
        """Copies the image's root for this machine, unless a start before left one."""
        root = machine.home / ROOT
        if root.exists():
            return
        if self.image.root is None:
            raise LocalError.because(
                "the image has no root/ for container nodes", hint="give an image with root/, or --driver qemu"
            )
        new = machine.home / "root.new"
        if new.exists():
            shutil.rmtree(new)
        run(["cp", "-a", "--reflink=auto", str(self.image.root), str(new)])
        _adapt(new)
        if isinstance(seed, LocalSeed):
            _plant(seed, new)
        new.rename(root)

    def start(self, machine: Machine, seed: Seed) -> Process:
        """Powers the machine on. The process is the container's first one: all others end with it."""
        name = host_name(machine.home)
        _wire(name, machine, self.network)
        try:
            with own_groups(name):
                process = spawn(
                    command(name, machine, seed),
                    log=machine.console,
                    folder=machine.home,
                    # The default filter refuses calls that container engines make.
                    environment={"SYSTEMD_SECCOMP": "0"},
                )
            return _leader(process, machine)
        finally:
            # The namespace lives on as long as the container does, and its card with it: nothing is left over.
            run(["ip", "netns", "delete", name])


def shut_down(process: Process) -> None:
    """Asks the container's systemd to power off."""
    process.send(POWER_OFF)


def host_name(home: Path) -> str:
    """A name on this host for one machine of one folder; as a link it has to fit into 15 characters."""
    return f"ks-{hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:8]}"


def command(name: str, machine: Machine, seed: Seed) -> list[str]:
    """The whole command line; it holds no secret, for everybody can read it."""
    namespace = f"/run/netns/{name}"
    return [
        # nspawn mounts /sys for the network namespace that it runs in itself, so it has to be in there.
        *("nsenter", f"--net={namespace}", "systemd-nspawn", f"--network-namespace-path={namespace}"),
        *("--directory", str(machine.home / ROOT), "--boot", f"--machine={name}", f"--hostname={machine.node}"),
        *("--register=no", "--keep-unit", "--link-journal=no", "--resolv-conf=off", "--timezone=off"),
        # What container engines and kubelets need inside; the clock and the modules stay the host's.
        *("--capability=all", "--drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE", "--bind=/dev/kmsg"),
        # A container's systemd gets the words that a kernel would; cloud-init reads them there.
        *([seed.datasource] if isinstance(seed, UrlSeed) else []),
    ]


def _adapt(root: Path) -> None:
    """What a whole-disk image lacks to boot as a container."""
    (root / "etc/fstab").unlink(missing_ok=True)
    _write(root / CLOUD_INIT_PATH, CLOUD_INIT.encode(), 0o644)
    ours = files("generator.vm") / "container"
    _write(root / PREPARE_PATH, (ours / "prepare").read_bytes(), 0o755)
    _write(root / UNIT_FOLDER / UNIT, (ours / UNIT).read_bytes(), 0o644)
    wants = root / UNIT_FOLDER / "sysinit.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / UNIT).symlink_to(f"../{UNIT}")


def _plant(seed: LocalSeed, root: Path) -> None:
    for name, data in seed.files().items():
        _write(root / "var/lib/cloud/seed/nocloud" / name, data, 0o600)


def _write(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def _wire(name: str, machine: Machine, bridge: Bridge) -> None:
    """A namespace with the node's card in it, whose other end is on the bridge."""
    if Path(f"/run/netns/{name}").exists():
        run(["ip", "netns", "delete", name])
    run(["ip", "netns", "add", name])
    _unplug(name)
    inner = ["peer", "name", "eth0", "address", machine.mac, "netns", name]
    run(["ip", "link", "add", name, "type", "veth", *inner])
    bridge.attach(name)


def _unplug(name: str) -> None:
    """The card of a machine whose power was cut stays until the kernel has taken its namespace away, at any moment."""
    if name in {link for _, link in socket.if_nameindex()}:
        with contextlib.suppress(LocalError):
            run(["ip", "link", "delete", name])


def _leader(process: Process, machine: Machine) -> Process:
    """The container's first process, as soon as it is there."""
    deadline = time.monotonic() + LEADER_SECONDS
    while time.monotonic() < deadline:
        for child in process.children:
            if _boots(child):
                return Process.of(child)
        if not process.alive:
            break
        time.sleep(0.05)
    process.send(signal.SIGKILL)
    raise LocalError.because("systemd-nspawn did not boot", file=str(machine.console), hint="the file says why")


def _boots(pid: int) -> bool:
    """Whether the child is past nspawn's own set-up: it runs in the container's first process id."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    ids = next((line for line in status.splitlines() if line.startswith("NSpid:")), "").split()
    return len(ids) > 2 and ids[-1] == "1"
