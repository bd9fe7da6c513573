"""Measures `generate` for a thousand nodes beside a plain copy of what it wrote, in the same run."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from generator.console import show_table
from tests.bench.spec import big_spec

pytestmark = pytest.mark.bench
NODES = int(os.environ.get("KUBESEED_BENCH_NODES", "1000"))


class Cost(NamedTuple):
    """What a child process took."""

    seconds: float
    cpu: float
    mib: float


# The child tells of itself, so that nothing of this process is counted.
CHILD = """
import json, resource, sys, time
from generator.cli import main
begun = time.monotonic()
try: main(sys.argv[1:])
except SystemExit as ended: assert not ended.code, ended.code
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([time.monotonic() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]), file=sys.stderr)
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


def test_generate_beside_a_plain_copy(tmp_path: Path) -> None:
    spec, grown, out = tmp_path / "spec.yaml", tmp_path / "grown.yaml", tmp_path / "out"
    spec.write_text(big_spec(NODES))
    grown.write_text(big_spec(NODES + 1))

    def fresh(_: int) -> Cost:
        shutil.rmtree(out, ignore_errors=True)
        return kubeseed("generate", spec, "-o", out)

    rows = {f"generate {NODES} nodes": best(fresh)}
    rows["cp -r of the result, sync"] = best(lambda number: copy(out, tmp_path / f"copy{number}"))
    rows["generate again, nothing new"] = best(lambda _: kubeseed("generate", spec, "-o", out))
    rows["generate, one more node"] = kubeseed("generate", grown, "-o", out)
    rows["validate"] = best(lambda _: kubeseed("validate", spec))
    files = [path.stat().st_size for path in out.rglob("*") if path.is_file()]
    print(f"\n{len(files)} files, {sum(files) / 2**20:.0f} MiB")  # noqa: T201 - a bench is for reading
    show_table(
        ("what", "seconds", "CPU seconds", "peak MiB", "times the copy"),
        [
            (what, f"{cost.seconds:.2f}", f"{cost.cpu:.2f}", f"{cost.mib:.0f}", _ratio(cost, rows))
            for what, cost in rows.items()
        ],
    )
    assert max(cost.mib for cost in rows.values()) <= 300


def _ratio(cost: Cost, rows: dict[str, Cost]) -> str:
    return f"{cost.seconds / rows['cp -r of the result, sync'].seconds:.1f}"
