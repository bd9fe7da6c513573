"""keepalived takes our configuration and moves the VIP when, and only when, its holder reaches no API server."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from generator.plan.load_balancer import plan_vrrp
from generator.render.load_balancer import render_keepalived
from generator.secret import Secret
from tests.example import NODES, example
from tests.judge.network import Machine, machines

pytestmark = pytest.mark.judge
VIP = "192.168.77.10"
CLUSTER = example(
    loadBalancer={"mode": "vip", "vip": VIP},
    nodes=[{**node, "roles": [*node["roles"], "lb"]} for node in NODES[:2]],
)


def place(number: int, folder: Path) -> Path:
    """The node's configuration in `folder`; its health is a file there. /tmp is no place for keepalived's scripts."""
    folder.mkdir(mode=0o755)
    said = render_keepalived(plan_vrrp(CLUSTER, CLUSTER.nodes[number], Secret("abcdefgh"))).data.decode()
    said = said.replace("/etc/kubeseed/lb", str(folder)).replace("/usr/local/lib/kubeseed", str(folder))
    (folder / "keepalived-interface.conf").write_text("interface eth0\n")
    (folder / "check-apiserver").write_text(f"#!/bin/sh\ntest -e {folder}/healthy\n")
    (folder / "check-apiserver").chmod(0o755)
    (folder / "healthy").touch()
    (folder / "keepalived.conf").write_text(said)
    (folder / "keepalived.conf").chmod(0o600)
    return folder / "keepalived.conf"


@pytest.fixture
def nodes() -> Iterator[dict[str, Machine]]:
    if not shutil.which("keepalived"):
        pytest.skip("no keepalived on this machine")
    with machines({node.name: f"{node.address}/24" for node in CLUSTER.nodes}) as made:
        yield made


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path("/run") / f"kubeseed-test-{time.monotonic_ns()}"
    made.mkdir(mode=0o755)
    yield made
    shutil.rmtree(made)


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not condition():
        time.sleep(0.3)
    return condition()


def test_it_takes_what_we_write_and_can_say_no(nodes: dict[str, Machine], folder: Path) -> None:
    configuration = place(0, folder / "m1")
    good = nodes["m1"].call(["keepalived", "--config-test", "--use-file", configuration])
    assert good.returncode == 0, good.stderr
    configuration.write_text(configuration.read_text().replace("virtual_router_id 51", "virtual_router_id 999"))
    assert nodes["m1"].call(["keepalived", "--config-test", "--use-file", configuration]).returncode != 0


def test_the_vip_leaves_an_ill_holder_and_does_not_come_back_by_itself(nodes: dict[str, Machine], folder: Path) -> None:
    def start(number: int) -> None:
        name = CLUSTER.nodes[number].name
        home = folder / name
        options = ["--dont-fork", "--log-console", "--vrrp"]
        files: list[str | Path] = ["--pid", home / "pid", "--vrrp_pid", home / "vrrp", "-f", place(number, home)]
        nodes[name].start(["keepalived", *options, *files], home / "log")

    def holders() -> list[str]:
        return [name for name, node in nodes.items() if f"{VIP}/32" in node.addresses]

    start(1)
    assert within(30, lambda: holders() == ["m2"]), (folder / "m2" / "log").read_text()
    start(0)  # it has the higher priority, and waits all the same
    time.sleep(8)
    assert holders() == ["m2"]
    (folder / "m2" / "healthy").unlink()
    assert within(30, lambda: holders() == ["m1"]), (folder / "m1" / "log").read_text()
    (folder / "m2" / "healthy").touch()
    time.sleep(8)
    assert holders() == ["m1"]
