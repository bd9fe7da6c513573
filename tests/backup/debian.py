"""A newer etcd than the one of this Debian, from the package archive of a later one."""

import hashlib
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from tests.lab.cache import cached

POOL = "http://deb.debian.org/debian/pool/main/e/etcd/"
# etcd 3.5.16 of Debian 13: the first line with etcdutl, and with --bump-revision.
PACKAGES = {
    "etcd-client_3.5.16-4_amd64.deb": "7eb67e305ba2ce523a5a0b29bf88750ded3f724769c7111a83382b7909f9977b",
    "etcd-server_3.5.16-4_amd64.deb": "0875921bb0d023f2af9b8e15cdfbe417a03e65731345fb832c40f9c2dd72967b",
}


class NotToBeHadError(Exception):
    """The archive does not answer, or no longer has the package."""


def newer_etcd() -> Path:
    """A folder with etcd, etcdctl and etcdutl 3.5, fetched once. Raises NotToBeHadError."""
    return cached("etcd", hashlib.sha256(repr(PACKAGES).encode()).hexdigest(), _build) / "usr" / "bin"


def _build(folder: Path) -> None:
    for name, digest in PACKAGES.items():
        package = folder / name
        package.write_bytes(_fetch(name, digest))
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True, timeout=60)
        package.unlink()


def _fetch(name: str, digest: str) -> bytes:
    try:
        with urllib.request.urlopen(POOL + name, timeout=60) as answer:
            content: bytes = answer.read()
    except (urllib.error.URLError, TimeoutError) as error:
        raise NotToBeHadError(f"{POOL}{name}: {error}") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise NotToBeHadError(f"{POOL}{name} is not the package it was")
    return content
