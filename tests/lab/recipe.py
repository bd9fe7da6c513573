"""Knows what the lab's images are made of. Everything here goes into the image's digest."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

SUITE = "bookworm"


@dataclass(frozen=True, slots=True)
class Recipe:
    """`files` are path -> text below the image's root; `enable`, `disable` and `mask` name systemd units."""

    name: str
    packages: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()
    megabytes: int = 3072
    suite: str = SUITE

    def digest(self, *inputs: str) -> str:
        """SHA-256 of the recipe and of what else goes in."""
        data = json.dumps([asdict(self), *inputs], sort_keys=True)
        return hashlib.sha256(data.encode()).hexdigest()


# What Debian's own cloud image has, as far as a node notices; small, for emulated machines read every byte slowly.
_BASE_PACKAGES = (
    *(
        "systemd",
        "systemd-sysv",
        "dbus",
        "udev",
        "kmod",
        "procps",
        "linux-image-cloud-amd64",
        "initramfs-tools",
        "zstd",
    ),
    *("cloud-init", "netplan.io", "iproute2", "netbase", "curl", "ca-certificates", "openssl", "openssh-client"),
    *("chrony", "tzdata", "e2fsprogs", "fdisk"),
)
_BASE_FILES = {
    "etc/fstab": "LABEL=root / ext4 errors=remount-ro 0 1\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/machine-id": "",
    # The lab has no name server.
    "etc/resolv.conf": "",
    # An emulated machine takes seconds for every key and for the locale that this image does not carry.
    "etc/cloud/cloud.cfg.d/90_lab.cfg": "ssh_genkeytypes: [ed25519]\nlocale: false\n",
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=persistent\n",
}
_NOISE = (
    *(
        "apt-daily.timer",
        "apt-daily-upgrade.timer",
        "dpkg-db-backup.timer",
        "e2scrub_all.timer",
        "e2scrub_reap.service",
    ),
    *("fstrim.timer", "getty@tty1.service", "systemd-pstore.service"),
)

DEBIAN = Recipe("debian", _BASE_PACKAGES, _BASE_FILES, enable=("systemd-networkd.service",), mask=_NOISE)
