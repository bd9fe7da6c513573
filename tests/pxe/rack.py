"""Knows machines that boot all at once, as far as a boot server notices: TFTP, boot script, kernel and initramfs."""

import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.lab.command import run
from tests.lab.namespace import HOST, Namespace
from tests.pxe.place import UUID

MEGABYTE = 10**6
SIZES = {"kernel": 10 * MEGABYTE, "initrd": 20 * MEGABYTE}
# As iPXE asks; every file is read to its end and its SHA-256 compared.
_BOOT = """set -eu
take() { test "$(curl -q -sS -f --noproxy '*' --max-time 300 "$1" | sha256sum | cut -c1-64)" = "$2"; }
take "tftp://$1/undionly.kpxe" "$2"
curl -q -sS -f --noproxy '*' -o /dev/null "http://$1:8080/boot.ipxe"
script=$(curl -q -sS -f --noproxy '*' "http://$1:8080/boot/script?mac=$3&uuid=$4&serial=&arch=i386&platform=pcbios")
for part in kernel initrd; do
  digest=$(echo "$script" | sed -n "s/^set kubeseed-$part //p")
  take "http://$1:8080/assets/$digest" "$digest"
done
"""
_FETCH = """set -eu
take() { test "$(curl -q -sS -f --noproxy '*' --max-time 300 "$1" | sha256sum | cut -c1-64)" = "$2"; }
for digest in $2; do take "http://$1/$digest" "$digest"; done
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many machines did not get all they asked for, with their words, and megabytes per second of all together."""

    failed: tuple[str, ...]
    speed: float


def make_boot_files(kubeseed: Path, store: Path, folder: Path) -> tuple[str, ...]:
    """A kernel and an initramfs of 30 MB, registered as `rack`; their digests."""
    from generator.image.store import measure

    folder.mkdir()
    options: list[str | Path] = []
    digests = []
    for number, (name, size) in enumerate(SIZES.items()):
        file = folder / name
        file.write_bytes(Random(number).randbytes(size))
        digests.append(measure(file).sha256)
        options += [f"--{name}", file, f"--{name}-sha256", digests[-1]]
    run([kubeseed, "image", "add", "rack", *options, "--store", store])
    return tuple(digests)


def boot_all(network: Namespace, program: str, numbers: Sequence[int]) -> Outcome:
    """Machines with these cards boot at once; `program` is the digest of undionly.kpxe."""
    machines = [[HOST, program, f"52-54-00-00-00-{number:02d}", UUID.format(number)] for number in numbers]
    return _all(network, _BOOT, machines)


def fetch_all(network: Namespace, server: str, digests: Sequence[str], count: int) -> Outcome:
    """The same files from another server."""
    return _all(network, _FETCH, [[server, " ".join(digests)]] * count)


def _all(network: Namespace, script: str, machines: Sequence[Sequence[str]]) -> Outcome:
    def one(words: Sequence[str]) -> str:
        command = network.inside(["sh", "-c", script, "sh", *words])
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        return "" if done.returncode == 0 else f"{words}: {done.returncode} {done.stderr}"

    began = time.monotonic()
    with ThreadPoolExecutor(len(machines)) as pool:
        failed = tuple(filter(None, pool.map(one, machines)))
    return Outcome(failed, len(machines) * sum(SIZES.values()) / MEGABYTE / (time.monotonic() - began))
