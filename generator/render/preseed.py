"""Knows preseed, the unattended installation of Debian and of Ubuntu until 18.04 (debian-installer's own questions)."""

from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import ip_interface
from urllib.parse import urlsplit

from generator.plan.disk import DataDisk
from generator.plan.install import Install
from generator.plan.network import LinkKind, Network
from generator.plan.seed import Seed
from generator.render.ifupdown import render_interfaces
from generator.render.late import Late, land, make_accounts, render_late
from generator.render.preseed_disk import boot_disks, storage_lines
from generator.render.progress import Client, report_installed, report_started
from generator.render.text import render, sh
from generator.scripts import Script

# udev names the cards from the initramfs on, so it has to know the .link files.
_RENAME_EARLY = "update-initramfs -u -k all"


def render_preseed(seed: Seed, install: Install, scripts: Iterable[Script]) -> bytes:
    """The whole file. The script of `late_command` is encoded, because a preseeded value is one line."""
    late = _late(seed, scripts)
    name, _, domain = seed.hostname.partition(".")
    values = {
        "title": install.title,
        "hostname": name,
        "domain": domain or "localdomain",
        "network": list(_network(seed.network)),
        "mirror": _mirror(install),
        "proxy": install.proxy,
        "suite": install.suite,
        "timezone": install.timezone,
        "ntp": {"wanted": "true" if install.ntp else "false", "server": next(iter(install.ntp), "")},
        "storage": list(storage_lines(install.disk)),
        "boot_disks": boot_disks(install.disk),
        "packages": sorted({*install.packages, "openssh-server", "curl", "ca-certificates", *_made_of(seed.network)}),
        "started": report_started(install.reports_to, seed.hostname, Client.WGET) if install.reports_to else "",
        "installed": report_installed(install.reports_to, seed.hostname, Client.WGET) if install.reports_to else ":",
        "own": _encoded(late.own),
        "shared": _encoded(late.shared),
    }
    return render("preseed.cfg.j2", values).encode()


@lru_cache(maxsize=8)
def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def _late(seed: Seed, scripts: Iterable[Script]) -> Late:
    """Without a MAC address only the installer knows which card it found, so its own network stays."""
    system = [*make_accounts(seed.logins), *(line for disk in seed.disks for line in _format(disk))]
    if seed.network.links[0].mac:
        system += [*(land(file).rstrip("\n") for file in render_interfaces(seed.network)), _RENAME_EARLY]
    return render_late(seed, scripts, system)


def _format(disk: DataDisk) -> Iterator[str]:
    """partman's recipes know one disk; the others are made here. The disk is mounted, as it is at every boot."""
    device, mount = sh(disk.device), sh(disk.mount)
    yield f"mkfs.ext4 -q -F -L {disk.label} {device}"
    yield f"mkdir -p {mount}"
    yield f"echo LABEL={disk.label} {mount} ext4 defaults 0 2 >>/etc/fstab"
    yield f"mount {mount}"


def _made_of(network: Network) -> Iterator[str]:
    """ifupdown's own packages for bonds and VLANs."""
    kinds = {link.kind for link in network.links}
    yield from ("ifenslave",) if LinkKind.BOND in kinds else ()
    yield from ("vlan",) if LinkKind.VLAN in kinds else ()


def _network(network: Network) -> Iterator[str]:
    """netcfg's questions: the main address on the card that is found, in its VLAN."""
    main = network.main_link
    if main.kind is LinkKind.VLAN:
        yield "use_vlan boolean true"
        yield f"vlan_id string {main.vlan}"
    if main.dhcp:
        return
    interface = ip_interface(main.addresses[0])
    yield "disable_autoconfig boolean true"
    yield f"get_ipaddress string {interface.ip}"
    yield f"get_netmask string {interface.netmask if interface.version == 4 else interface.network.prefixlen}"
    yield f"get_gateway string {main.gateway or 'none'}"
    yield f"get_nameservers string {' '.join(network.nameservers)}"
    yield "confirm_static boolean true"


def _mirror(install: Install) -> dict[str, str]:
    parts = urlsplit(next(iter(install.mirrors), install.archive))
    return {"protocol": parts.scheme, "host": parts.netloc, "directory": parts.path or "/"}
