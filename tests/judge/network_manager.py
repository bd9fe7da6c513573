"""Fetches nmcli from Debian without installing it, and asks it whether NetworkManager would take a connection."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.judge.cloud_init import cache, run

PACKAGES = ("network-manager", "libnm0")


@dataclass(frozen=True)
class NetworkManager:
    """nmcli, unpacked."""

    tree: Path

    def verdict(self, keyfile: str) -> tuple[bool, str]:
        """Whether NetworkManager takes a connection, and what it says."""
        (libraries,) = self.tree.glob("usr/lib/*-linux-gnu")
        done = subprocess.run(
            [str(self.tree / "usr/bin/nmcli"), "--offline", "connection", "modify"],
            input=keyfile, env={"LD_LIBRARY_PATH": str(libraries), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        return done.returncode == 0, done.stdout + done.stderr


def network_manager() -> NetworkManager:
    """nmcli of this machine's Debian, from the cache or the mirror."""
    folder = cache() / "network-manager"
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *PACKAGES, cwd=folder)
        for package in folder.glob("*.deb"):
            run("dpkg-deb", "-x", str(package), str(folder / "tree"))
        (folder / "complete").touch()
    return NetworkManager(folder / "tree")
