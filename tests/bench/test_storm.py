"""Measures a boot storm: a thousand nodes at once, without and with the coordinator dead for a minute in the middle."""

import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from generator.console import show_table
from tests.http.outfolder import STAGES
from tests.http.process import REPOSITORY, Coordinator, running

NODES = int(os.environ.get("KUBESEED_STORM_NODES", "1000"))
WORKERS = int(os.environ.get("KUBESEED_STORM_WORKERS", str(os.cpu_count() or 1)))
DEAD_SECONDS = 60.0
LONGEST = 800  # seconds until those that are not done are counted as stranded
REPORT = "storm.json"

pytestmark = [pytest.mark.bench, pytest.mark.timeout(LONGEST + 300)]


@contextmanager
def site(folder: Path) -> Iterator[Coordinator]:
    """A coordinator whose cluster exists, and that many workers whose seeds nobody has used."""
    with running(folder, workers=WORKERS) as coordinator:
        for number in range(NODES):
            coordinator.out.add_worker(f"n{number}")
        coordinator.signal(signal.SIGTERM)  # waits for its workers, which kill -9 would outlive for a moment
        coordinator.out.write_inventory()
        coordinator.start()
        coordinator.machine("m1").enrolled().initialise()
        yield coordinator


def storm(coordinator: Coordinator, folder: Path) -> "subprocess.Popen[bytes]":
    """All nodes power on now, in a process of their own."""
    out = coordinator.out
    nodes = [
        {
            "name": f"n{number}", "seal": out.seal(f"n{number}"), "mac": out.node(f"n{number}")["macs"][0],
            "address": f"127.1.{number // 250}.{number % 250 + 1}", "credential": secrets.token_hex(32),
        }
        for number in range(NODES)
    ]  # fmt: skip
    trust = str(coordinator.out.root / "secrets" / "root.crt")
    stages = [stage for stage in STAGES if stage not in {"pki", "init", "backup"}]
    order = folder / "order.json"
    wanted = {"port": coordinator.port, "trust": trust, "stages": stages, "nodes": nodes, "seconds": LONGEST}
    order.write_text(json.dumps(wanted))
    with (folder / REPORT).open("wb") as report:
        return subprocess.Popen([sys.executable, "-m", "tests.bench.storm", str(order)], stdout=report, cwd=REPOSITORY)


def ended(process: "subprocess.Popen[bytes]", folder: Path) -> dict[str, Any]:
    try:
        process.wait(timeout=LONGEST + 60)
    finally:
        process.kill()
    found: dict[str, Any] = json.loads((folder / REPORT).read_text())
    return found


def cpu_seconds(pid: int) -> float:
    """What this process and those it started have used; proc(5), stat fields 14 to 17."""
    used = sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return used / os.sysconf("SC_CLK_TCK") + sum(cpu_seconds(int(child)) for child in children)


def show(what: str, found: dict[str, Any], cpu: float) -> None:
    single, whole = (sorted(found[name]) for name in ("single", "conversations"))
    cuts, each = (statistics.quantiles(seconds, n=100) for seconds in (whole, single))
    rate = found["requests"] / found["took"]
    rows = [
        ("nodes that are done, of all", f"{len(whole)} of {NODES}"),
        ("processes of the coordinator", str(WORKERS)),
        ("requests answered", f"{found['requests']} in {found['took']:.1f} s: {rate:.0f} a second"),
        ("tried again", str(found["retries"])),
        ("a whole node's conversation", f"p50 {cuts[49]:.1f} s, p99 {cuts[98]:.1f} s, longest {whole[-1]:.1f} s"),
        ("a single request", f"p50 {each[49]:.2f} s, p99 {each[98]:.2f} s"),
        ("CPU of the coordinator", f"{cpu:.1f} s: {1000 * cpu / found['requests']:.2f} ms a request"),
        ("CPU of the simulator", f"{found['cpu']:.1f} s"),
        ("load of the machine (1 min)", f"{os.getloadavg()[0]:.1f}"),
    ]  # fmt: skip
    show_table((what, ""), rows)


def everybody_joined(coordinator: Coordinator, found: dict[str, Any]) -> None:
    """Nobody is stranded, nobody was bound twice: the store says the same as the nodes."""
    assert found["problems"] == []
    status = coordinator.status()["nodes"]
    assert {status[f"n{number}"]["state"] for number in range(NODES)} == {"closed"}


def test_a_boot_storm(tmp_path: Path) -> None:
    with site(tmp_path) as coordinator:
        before = cpu_seconds(coordinator.pid)
        found = ended(storm(coordinator, tmp_path), tmp_path)
        show("boot storm", found, cpu_seconds(coordinator.pid) - before)
        everybody_joined(coordinator, found)


def test_a_boot_storm_with_the_coordinator_dead_for_a_minute(tmp_path: Path) -> None:
    with site(tmp_path) as coordinator:
        before = cpu_seconds(coordinator.pid)
        process = storm(coordinator, tmp_path)
        time.sleep(5)
        used = cpu_seconds(coordinator.pid) - before
        coordinator.kill()
        assert process.poll() is None, "the storm was over before the coordinator died"
        time.sleep(DEAD_SECONDS)
        coordinator.start()
        found = ended(process, tmp_path)
        show("boot storm, dead for a minute", found, used + cpu_seconds(coordinator.pid))
        everybody_joined(coordinator, found)
