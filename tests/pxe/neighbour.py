"""Knows what else a site has on the boot network: its own DHCP server, which knows nothing of network boot."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.command import run
from tests.lab.namespace import BRIDGE, HOST, Namespace

ADDRESS = "192.168.77.3"
RANGE = "192.168.77.100,192.168.77.150,255.255.255.0,1h"


@contextmanager
def foreign_dhcp(network: Namespace, folder: Path) -> Iterator[Path]:
    """A second dnsmasq on a machine of its own; its log."""
    machine = Namespace(f"{network.name}-dhcp", network.run)
    log = folder / "foreign-dhcp.log"
    run(["ip", "netns", "add", machine.name])
    try:
        run(["ip", "-n", network.name, *f"link add foreign type veth peer name eth0 netns {machine.name}".split()])
        run(["ip", "-n", network.name, *f"link set foreign master {BRIDGE} up".split()])
        run(["ip", "-n", machine.name, *f"addr add {ADDRESS}/24 dev eth0".split()])
        run(["ip", "-n", machine.name, "link", "set", "eth0", "up"])
        with machine.start(
            [
                *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--log-dhcp", "--no-ping"),
                *("--log-facility=-", "--pid-file", "--interface=eth0", "--bind-interfaces", "--user=root"),
                *(f"--dhcp-leasefile={folder / 'foreign-leases'}", f"--dhcp-range={RANGE}"),
                f"--dhcp-option=option:router,{HOST}",
            ],
            log,
        ):
            yield log
    finally:
        run(["ip", "netns", "delete", machine.name])
