"""Measures plain reads over TLS, and large boot files over HTTP, beside nginx with the same bytes in the same run."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest

from generator.console import show_table
from http_server.settings import Limits
from tests.bench.empty import empty
from tests.bench.nginx import nginx
from tests.http.process import Coordinator, running

WORKERS = int(os.environ.get("KUBESEED_STORM_WORKERS", str(os.cpu_count() or 1)))
SECONDS = 4
WIDE = Limits(peer_rate=(1e6, 1e6), node_rate=(1e6, 1e6), all_rate=(1e6, 1e6))
READS = ("v1/backends", "v1/files")
LARGE = 200 * 2**20
MISSING = [name for name in ("nginx", "wrk", "ab") if not shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin")]

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)}: make packages"),
]


def kept(url: str, header: str) -> float:
    """Requests a second on 16 connections that stay."""
    command = ["wrk", "-t1", "-c16", f"-d{SECONDS}", "-H", f"Authorization: {header}", url]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "Non-2xx" not in found, found
    return number(r"Requests/sec:\s+([0-9.]+)", found)


def fresh(url: str, header: str) -> float:
    """Requests a second with a connection for each, as curl in the nodes' scripts makes them, 16 at a time."""
    command = ["ab", "-q", "-t", str(SECONDS), "-n", "1000000", "-c", "16", "-H", f"Authorization: {header}", url]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "Non-2xx" not in found, found
    return number(r"Requests per second:\s+([0-9.]+)", found)


def number(pattern: str, text: str) -> float:
    match = re.search(pattern, text)
    assert match, text
    return float(match.group(1))


MEASURES = {"new connections": fresh, "kept connections": kept}


def test_plain_reads(tmp_path: Path) -> None:
    """The last two rows are the most that any handler could reach behind this listener."""
    with running(tmp_path, limits=WIDE, workers=WORKERS) as coordinator:
        machine = coordinator.machine("w1").enrolled()
        bodies = {path: machine.get(f"/{path}").content for path in READS}
        with (
            nginx(tmp_path / "nginx", bodies) as (tls, _),
            empty(tmp_path / "empty", bodies[READS[0]], WORKERS) as nothing,
        ):
            ours = f"https://127.0.0.1:{coordinator.port}"
            asked = [
                (f"/{path}, {len(body)} bytes", f"{ours}/{path}", f"{tls}/{path}") for path, body in bodies.items()
            ]
            asked.append(("an empty handler, as many bytes as the first", nothing, f"{tls}/{READS[0]}"))
            rows = []
            for (name, own, yard), (what, measure) in product(asked, MEASURES.items()):
                rates = measure(own, machine.header), measure(yard, machine.header)
                rows.append((f"{name}, {what}", *(f"{rate:.0f}" for rate in rates), f"{rates[0] / rates[1]:.2f}"))
    show_table((f"requests a second over TLS, {WORKERS} processes", "coordinator", "nginx", "share"), rows)


@contextmanager
def with_large_file(folder: Path) -> Iterator[tuple[Coordinator, str, bytes]]:
    """A coordinator with one image of 200 MiB: its digest and bytes."""
    data = os.urandom(2**20) * (LARGE // 2**20)
    digest = hashlib.sha256(data).hexdigest()
    blob = {"sha256": digest, "size": len(data)}
    image = {
        "name": "large", "arch": "amd64", "source": "", "made": 0, "installer": "", "disk": None, "kernel": blob,
        "initrd": None, "squashfs": None,
    }  # fmt: skip
    (folder / "images" / "blob").mkdir(parents=True)
    (folder / "images" / "blob" / digest).write_bytes(data)
    (folder / "images" / "index.json").write_text(json.dumps({"format": 1, "images": {"large": image}}))
    with running(folder) as coordinator:
        yield coordinator, digest, data


def fetch(url: str, target: Path, parts: int) -> float:
    """MiB a second of curl, whole or in that many ranges at the same time."""
    step = LARGE // parts
    files = [target.with_suffix(f".{part}") for part in range(parts)]
    began = time.monotonic()
    curls = [
        subprocess.Popen(["curl", "-sSf", "-r", f"{part * step}-{(part + 1) * step - 1}", "-o", file, url])
        for part, file in enumerate(files)
    ]
    assert {curl.wait(120) for curl in curls} == {0}
    took = time.monotonic() - began
    with target.open("wb") as whole:
        for file in files:
            whole.write(file.read_bytes())
            file.unlink()
    return LARGE / 2**20 / took


def test_large_boot_files(tmp_path: Path) -> None:
    with (
        with_large_file(tmp_path) as (coordinator, digest, data),
        nginx(tmp_path / "nginx", {"large": data}) as (_, http),
    ):
        rows = []
        for parts, what in ((1, "one range"), (4, "four ranges at once")):
            best = []
            for url in (f"http://127.0.0.1:{coordinator.boot_port}/assets/{digest}", f"{http}/large"):
                best.append(max(fetch(url, tmp_path / "fetched", parts) for _ in range(3)))
                assert hashlib.sha256((tmp_path / "fetched").read_bytes()).hexdigest() == digest
            rows.append((what, f"{best[0]:.0f}", f"{best[1]:.0f}", f"{best[0] / best[1]:.2f}"))
    show_table(("200 MiB over HTTP, MiB a second", "coordinator", "nginx", "share"), rows)
