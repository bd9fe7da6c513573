"""Knows the network of a test: a namespace of its own with a bridge, on which this host is router, DHCP and clock."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.command import run
from tests.lab.run import Run
from tests.lab.service import Service

BRIDGE = "br0"
# The same in every namespace; they do not see each other.
HOST = "192.168.77.2"
SUBNET = "192.168.77.0/24"
_DHCP_RANGE = "192.168.77.200,192.168.77.250,255.255.255.0,1h"
# Answering router solicitations at once spares every boot the twelve seconds that systemd-networkd asks in vain.
_IPV6 = ("fd77:6b75:6265::2/64", "fd77:6b75:6265::,ra-only")


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace with a bridge; nothing in it reaches the world."""

    name: str
    run: Run

    def inside(self, arguments: Sequence[str | Path]) -> list[str]:
        """The command that runs `arguments` in here. `ip netns exec` would hide /sys/fs/cgroup from containers."""
        return ["nsenter", f"--net=/run/netns/{self.name}", *map(str, arguments)]

    def call(self, arguments: Sequence[str | Path], timeout: float = 60) -> str:
        """Runs a program in here to its end; its standard output."""
        return run(self.inside(arguments), timeout=timeout, environment=self.run.environment)

    def start(self, arguments: Sequence[str | Path], log: Path) -> Service:
        """Starts a program in here."""
        return Service(self.inside(arguments), log, self.run.environment)

    @property
    def links(self) -> set[str]:
        """The names of its network links."""
        return {link["ifname"] for link in json.loads(run(["ip", "-n", self.name, "-json", "link", "show"]))}


@contextmanager
def namespace(of: Run, name: str) -> Iterator[Namespace]:
    """A new namespace; it is gone at the end of the block."""
    full = f"{of.namespace_prefix}{name}"
    run(["ip", "netns", "add", full])
    try:
        for words in (
            f"link set lo up\nlink add {BRIDGE} type bridge\nlink set {BRIDGE} up",
            f"addr add {HOST}/24 dev {BRIDGE}\naddr add {_IPV6[0]} dev {BRIDGE} nodad",
        ):
            for line in words.splitlines():
                run(["ip", "-n", full, *line.split()])
        yield Namespace(full, of)
    finally:
        run(["ip", "netns", "delete", full])


@contextmanager
def lan(network: Namespace, folder: Path, addresses: Mapping[str, str], root: Path) -> Iterator[None]:
    """What a site has on its wire: DHCP (`addresses`: MAC -> IPv4, and a range for strangers), IPv6 router, clock.

    The clock is the chronyd of an image's `root`: nobody wants it on the machine that tests.
    """
    hosts = [f"--dhcp-host={mac},{address}" for mac, address in addresses.items()]
    dnsmasq = [
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--log-dhcp", "--log-facility=-"),
        *(f"--interface={BRIDGE}", "--bind-interfaces", f"--dhcp-leasefile={folder / 'leases'}", "--pid-file"),
        *(f"--dhcp-range={_DHCP_RANGE}", "--enable-ra", f"--dhcp-range={_IPV6[1]}", "--no-ping", "--user=root"),
        *(f"--dhcp-option=option:router,{HOST}", *hosts),
    ]
    chrony = ["-d", "-x", "-u", "root", "local stratum 8", f"allow {SUBNET}", "cmdport 0", f"bindaddress {HOST}"]
    private = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs "$0/run" && exec chroot "$0" chronyd "$@"']
    with (
        network.start(dnsmasq, folder / "dnsmasq.log"),
        network.start([*private, root, *chrony], folder / "chronyd.log"),
    ):
        yield
