"""Measures `generate` for 1,000 and 10,000 nodes beside a plain copy of what it wrote, in the same run."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from generator.console import show_table
from tests.bench.spec import big_spec

pytestmark = pytest.mark.bench
SIZES = tuple(map(int, os.environ.get("KUBESEED_BENCH_NODES", "1000,10000").split(",")))
GENERATE, COPY = "generate", "cp -r of the result, sync"
FOUND: dict[int, float] = {}  # CPU seconds of `generate` by the number of nodes


class Cost(NamedTuple):
    """What a child process took."""

    seconds: float
    cpu: float
    mib: float


Rows = dict[str, Cost]

# The child tells of itself, so that nothing of this process is counted, where getrusage's peak would begin.
CHILD = """
import json, re, resource, sys, time
from pathlib import Path
from generator.cli import main
begun = time.monotonic()
try: main(sys.argv[1:])
except SystemExit as ended: assert not ended.code, ended.code
used = resource.getrusage(resource.RUSAGE_SELF)
kib = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
print(json.dumps([time.monotonic() - begun, used.ru_utime + used.ru_stime, kib / 1024]), file=sys.stderr)
"""


def kubeseed(*words: object) -> Cost:
    """A command in a process of its own, until all it wrote is on the disk."""
    os.sync()
    command = (sys.executable, "-c", CHILD, *map(str, words))
    environment = {**os.environ, "KUBESEED_DEBUG": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return Cost(*json.loads(done.stderr.splitlines()[-1]))


def copy(source: Path, target: Path) -> Cost:
    """cp -r and sync."""
    os.sync()
    begun, before = time.monotonic(), os.times()
    subprocess.run(["cp", "-r", str(source), str(target)], check=True)
    os.sync()
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(time.monotonic() - begun, cpu, 0)


def best(measure: Callable[[int], Cost], times: int = 3) -> Cost:
    """The quickest of several runs: other work on the machine only ever adds."""
    return min(measure(number) for number in range(times))


def measure(nodes: int, folder: Path, times: int) -> Rows:
    """Every command on a spec of that many nodes, and a copy of what it wrote.

    Each run has a folder of its own, and nothing is removed: ext4 goes around the inodes that were freed in the last
    minutes, one by one, so that whoever makes files pays for what was deleted before.
    """
    spec, grown, out = folder / "spec.yaml", folder / "grown.yaml", folder / "out0"
    spec.write_text(big_spec(nodes))
    grown.write_text(big_spec(nodes + 1))
    rows = {
        GENERATE: best(lambda number: kubeseed("generate", spec, "-o", folder / f"out{number}"), times),
        COPY: best(lambda number: copy(out, folder / f"copy{number}"), times),
    }
    rows["generate again, nothing new"] = best(lambda _: kubeseed("generate", spec, "-o", out), times)
    rows["generate, one more node"] = kubeseed("generate", grown, "-o", out)
    rows["validate"] = best(lambda _: kubeseed("validate", spec), times)
    return rows


def written(out: Path) -> str:
    sizes = [path.stat().st_size for path in out.rglob("*") if path.is_file()]
    return f"{len(sizes)} files, {sum(sizes) / 2**20:.0f} MiB"


def show(title: str, rows: Rows) -> None:
    print(f"\n{title}")  # noqa: T201 - a bench is for reading
    copy_seconds = rows[COPY].seconds
    show_table(
        ("what", "seconds", "CPU seconds", "peak MiB", "times the copy"),
        [
            (what, f"{cost.seconds:.2f}", f"{cost.cpu:.2f}", f"{cost.mib:.0f}", f"{cost.seconds / copy_seconds:.1f}")
            for what, cost in rows.items()
        ],
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where everything is written, until the last measurement is done."""
    folder = tmp_path_factory.mktemp("generate")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("nodes", SIZES)
def test_generate_beside_a_plain_copy(nodes: int, place: Path) -> None:
    folder = place / str(nodes)
    folder.mkdir()
    rows = measure(nodes, folder, times=3 if nodes <= 1000 else 1)
    show(f"{nodes} nodes: {written(folder / 'out0')}", rows)
    # 300 MiB for a thousand nodes, 500 MiB for ten thousand.
    assert max(cost.mib for cost in rows.values()) <= 300 + max(0, nodes - 1000) / 45
    FOUND[nodes] = rows[GENERATE].cpu


def test_the_cost_grows_with_the_nodes_and_no_faster() -> None:
    """CPU seconds a node, without what starting costs: a quadratic step would show as ten times as many."""
    if len(FOUND) < 2:
        pytest.skip("two sizes have to be measured in the same run, as `make bench` does")
    start = best(lambda _: kubeseed("--help")).cpu
    costs = {nodes: 1000 * (cpu - start) / nodes for nodes, cpu in sorted(FOUND.items())}
    show_table(("nodes", "CPU milliseconds a node"), [(str(nodes), f"{cost:.2f}") for nodes, cost in costs.items()])
    assert costs[max(costs)] <= 2 * costs[min(costs)]


def test_help_is_quick() -> None:
    cost = best(lambda _: kubeseed("--help"))
    print(f"\nkubeseed --help: {cost.cpu:.2f} CPU seconds, {cost.mib:.0f} MiB")  # noqa: T201
