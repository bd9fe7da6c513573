"""Knows how a machine's card is wired: to a bridge of this host, or to QEMU's user network."""

import fcntl
import os
import struct
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_address, ip_network
from pathlib import Path

from generator.errors import LocalError
from generator.vm.process import run

TUN = Path("/dev/net/tun")
# linux/if_tun.h
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge that is there already, in the network namespace that this command runs in."""

    name: str

    def check(self) -> None:
        """LocalError unless this user can put machines on this bridge."""
        if not Path(f"/sys/class/net/{self.name}/bridge").is_dir() and not _is_bridge(self.name):
            hint = f"make one: ip link add {self.name} type bridge && ip link set {self.name} up"
            raise LocalError.because(f"there is no bridge {self.name}", hint=hint)
        if os.geteuid() != 0:
            hint = "run the command as root, or leave --bridge out to use QEMU's user network"
            raise LocalError.because("only root can put a machine on a bridge", hint=hint)

    def attach(self, link: str) -> None:
        """Plugs a link into the bridge and switches it on."""
        run(["ip", "link", "set", link, "master", self.name, "up"])

    def open_tap(self) -> int:
        """A new tap on the bridge; it goes away with the last process that holds the descriptor."""
        handle = os.open(TUN, os.O_RDWR | os.O_CLOEXEC)
        request = struct.pack("16sH22x", b"kubeseed%d", _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR)
        answer = fcntl.ioctl(handle, _TUNSETIFF, request)
        self.attach(answer[:16].rstrip(b"\0").decode("ascii"))
        return handle


def _is_bridge(name: str) -> bool:
    """Asks the kernel: /sys may belong to another network namespace than ours."""
    try:
        run(["ip", "link", "show", "dev", name, "type", "bridge"])
    except LocalError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class UserNetwork:
    """A network of one machine and this host, made by QEMU without any privilege.

    `host` is an address in `subnet` at which the guest finds this host's loopback, and so the coordinator.
    """

    subnet: IPv4Network
    host: str

    @classmethod
    def around(cls, address: str, coordinator: str) -> "UserNetwork":
        """The /24 around a node's address; this host stands where the node will look for the coordinator."""
        subnet = IPv4Network(ip_network(f"{address}/24", strict=False))
        try:
            near = ip_address(coordinator) in subnet
        except ValueError:
            near = False
        return cls(subnet, coordinator if near else str(subnet.network_address + 1))

    @property
    def argument(self) -> str:
        """The value of QEMU's -netdev."""
        return f"user,id=net0,net={self.subnet},host={self.host}"


Network = Bridge | UserNetwork
