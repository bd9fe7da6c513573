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
# A machine as sites have them: it swaps.
_SWAP = """[Unit]
Description=Swap, which a node has to get rid of
ConditionVirtualization=vm
ConditionPathExists=!/swapfile
Before=kubeseed-firstboot.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'umask 077; dd if=/dev/zero of=/swapfile bs=1M count=16 && mkswap /swapfile && swapon /swapfile'
[Install]
WantedBy=multi-user.target
"""
# What is in force on the machine, written down when it is powered off.
_FACTS = """[Unit]
Description=Facts for the tests
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/bin/sh /usr/local/lib/lab-facts
[Install]
WantedBy=multi-user.target
"""
_FACTS_SCRIPT = """mkdir -p /var/lib/lab-facts && cd /var/lib/lab-facts
sysctl -a >sysctl 2>/dev/null
lsmod >modules
cp /proc/swaps swaps
uname -n >host
date +%Z >zone
systemctl show --property=DefaultLimitNOFILE,DefaultLimitCORE,DefaultLimitNPROC >limits
chronyc -n sources >clock 2>/dev/null
ip -o address >addresses
sync
"""
_BASE_FILES = {
    "etc/fstab": "LABEL=root / ext4 errors=remount-ro 0 1\n/swapfile none swap nofail 0 0\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/machine-id": "",
    # The lab has no name server.
    "etc/resolv.conf": "",
    # An emulated machine takes seconds for every key and for the locale that this image does not carry.
    "etc/cloud/cloud.cfg.d/90_lab.cfg": "ssh_genkeytypes: [ed25519]\nlocale: false\n",
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=persistent\n",
    "etc/systemd/system/lab-swap.service": _SWAP,
    "etc/systemd/system/lab-facts.service": _FACTS,
    "usr/local/lib/lab-facts": _FACTS_SCRIPT,
}
_UNITS = ("systemd-networkd.service", "lab-swap.service", "lab-facts.service")
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

DEBIAN = Recipe("debian", _BASE_PACKAGES, _BASE_FILES, enable=_UNITS, mask=_NOISE)
