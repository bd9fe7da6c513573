"""Knows Ubuntu's autoinstall (subiquity's reference), as a cloud-config with the single key autoinstall."""

from collections.abc import Iterable
from functools import lru_cache
from textwrap import indent

from generator.plan.install import Install, SystemDisk
from generator.plan.seed import Seed
from generator.render.cloud_init import HEADER, render_user_data
from generator.render.dump import Data, dump_yaml
from generator.render.network_config import version_2
from generator.render.progress import Client, report_installed, report_started
from generator.scripts import Script
from generator.spec.disk import DiskLayout

_MARGIN = "  "


def render_autoinstall(seed: Seed, install: Install, scripts: Iterable[Script]) -> bytes:
    """The whole file. Its `user-data` is what the node's own cloud-init gets, which lands the files at first boot."""
    inner = render_user_data(seed, scripts)
    tree = indent(dump_yaml(_tree(seed, install)), _MARGIN)
    facts = indent(inner.facts.removeprefix(HEADER), 2 * _MARGIN)
    return f"{HEADER}autoinstall:\n{tree}{_MARGIN}user-data:\n{facts}{_indented(inner.shared)}".encode()


@lru_cache(maxsize=8)
def _indented(text: str) -> str:
    return indent(text, 2 * _MARGIN)


def _tree(seed: Seed, install: Install) -> dict[str, Data]:
    return {
        "version": 1,
        "refresh-installer": {"update": False},
        "locale": "en_US.UTF-8",
        "keyboard": {"layout": "us"},
        "timezone": install.timezone,
        "network": version_2(seed.network, named=False),
        **({"proxy": install.proxy} if install.proxy else {}),
        **({"apt": _apt(install)} if install.mirrors else {}),
        "storage": _storage(install.disk),
        "ssh": {"install-server": True, "allow-pw": False},
        "packages": sorted({*install.packages, "curl"}),
        **(_reports(seed.hostname, install.reports_to) if install.reports_to else {}),
        "updates": "security",
        "shutdown": "reboot",
    }


def _reports(node: str, url: str) -> dict[str, Data]:
    """Commands of the installer's own system, not of the installed one."""
    return {
        "early-commands": [report_started(url, node, Client.CURL)],
        "late-commands": [report_installed(url, node, Client.CURL)],
    }


def _apt(install: Install) -> dict[str, Data]:
    """The site's mirror holds what the installer would look for elsewhere."""
    return {"geoip": False, "primary": [{"arches": ["default"], "uri": install.mirrors[0]}]}


def _storage(disk: SystemDisk) -> dict[str, Data]:
    swap: dict[str, Data] = {"swap": {"size": 0}}
    if disk.layout is DiskLayout.RAID1:
        return {"config": _raid1((disk.device, disk.mirror)), **swap}
    name = {DiskLayout.SIMPLE: "direct", DiskLayout.LVM: "lvm"}[disk.layout]
    match: dict[str, Data] = {"match": {"path": disk.device}} if disk.device else {}
    whole: dict[str, Data] = {"sizing-policy": "all"} if disk.layout is DiskLayout.LVM else {}
    return {"layout": {"name": name, **match, **whole}, **swap}


def _raid1(devices: tuple[str, str]) -> list[Data]:
    """curtin's actions: partitions for BIOS and UEFI on both disks, everything else on one mirror."""
    disks = [action for number, device in enumerate(devices) for action in _disk(number, device)]
    return [
        *disks,
        {"id": "root", "type": "raid", "name": "md0", "raidlevel": "raid1", "devices": ["root0", "root1"]},
        {"id": "root-format", "type": "format", "volume": "root", "fstype": "ext4"},
        {"id": "efi-format", "type": "format", "volume": "efi0", "fstype": "fat32"},
        {"id": "root-mount", "type": "mount", "device": "root-format", "path": "/"},
        {"id": "efi-mount", "type": "mount", "device": "efi-format", "path": "/boot/efi"},
    ]


def _disk(number: int, device: str) -> list[Data]:
    disk = f"disk{number}"
    boots: dict[str, Data] = {"grub_device": True}
    wiped: dict[str, Data] = {"ptable": "gpt", "wipe": "superblock-recursive", "preserve": False}
    part: dict[str, Data] = {"type": "partition", "device": disk, "preserve": False}
    return [
        {"id": disk, "type": "disk", "path": device, **wiped, **boots},
        {"id": f"bios{number}", **part, "size": "1M", "flag": "bios_grub"},
        {"id": f"efi{number}", **part, "size": "600M", "flag": "boot", **(boots if number == 0 else {})},
        {"id": f"root{number}", **part, "size": -1},
    ]
