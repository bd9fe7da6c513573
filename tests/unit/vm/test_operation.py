"""`kubeseed vm` at its edges: what it refuses and what it says, with a program of the test's own as the machine."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from generator.errors import KubeseedError, LocalError, UsageError
from generator.vm.driver import Running, find, power_on
from generator.vm.image import load_image
from generator.vm.inventory import load_inventory
from generator.vm.machine import Acceleration, DriverName, Machine, Size
from generator.vm.operation import Order, listed, power_down, power_up
from generator.vm.process import Process, spawn
from generator.vm.seed import LocalSeed, Seed
from generator.vm.watch import Say

SIZE = Size(1024, 1)


@dataclass(frozen=True, slots=True)
class Sleeper:
    """A driver whose machines only sleep."""

    name: DriverName = DriverName.NSPAWN
    summary: str = "a sleeper"

    def prepare(self, machine: Machine, seed: Seed) -> None:
        (machine.home / "disk").touch()

    def start(self, machine: Machine, seed: Seed) -> Process:
        return spawn(["sleep", "60"], log=machine.console, folder=machine.home)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "coordinator").mkdir()
    nodes = {
        "m1": {"address": "192.168.77.11", "macs": ["52:54:00:00:00:11"]},
        "w1": {"address": "192.168.77.21", "macs": []},
    }
    inventory = {"urls": ["https://192.168.77.2:8443"], "nodes": nodes}
    (tmp_path / "coordinator/inventory.json").write_text(json.dumps(inventory))
    return tmp_path


@pytest.fixture
def sleeping(out: Path) -> Iterator[Running]:
    running = power_on(Sleeper(), Machine("m1", "", out / "vm/m1", SIZE), LocalSeed(out))
    yield running
    running.cut()


@pytest.fixture
def said() -> list[str]:
    return []


def order(image: Path, driver: DriverName = DriverName.QEMU, bridge: str | None = None) -> Order:
    return Order(image, driver, bridge, None, Acceleration.TCG, 1024, 1, fresh=False)


def say_to(said: list[str]) -> Say:
    return lambda seconds, node, words: said.append(f"{node} {words}")


def test_nodes_come_from_the_inventory_and_one_without_a_card_gets_one(out: Path) -> None:
    inventory = load_inventory(out)
    assert [node.name for node in inventory.select([])] == ["m1", "w1"]
    assert inventory.select(["w1"])[0].mac.startswith("52:54:00:")
    assert inventory.select(["w1"]) == load_inventory(out).select(["w1"])


def test_an_unknown_node_is_refused_with_the_near_one(out: Path) -> None:
    with pytest.raises(UsageError, match=r"no such node: m11(.|\n)*did you mean m1"):
        load_inventory(out).select(["m11"])


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"urls": [], "nodes": {}}'])
def test_a_broken_inventory_is_told(out: Path, text: str) -> None:
    (out / "coordinator/inventory.json").write_text(text)
    with pytest.raises(LocalError, match=r"not an inventory(.|\n)*kubeseed generate"):
        load_inventory(out)


def test_an_image_is_recognised_by_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="this is not an image"):
        load_image(tmp_path)
    (tmp_path / "disk.raw").touch()
    (tmp_path / "vmlinuz").touch()
    (tmp_path / "cmdline").write_text("root=LABEL=root rw\n")
    image = load_image(tmp_path)
    assert (image.disk_format, image.command_line, image.initrd) == ("raw", "root=LABEL=root rw", None)
    (tmp_path / "one.img").write_bytes(b"QFI\xfb" + bytes(100))
    assert load_image(tmp_path / "one.img").disk_format == "qcow2"
    assert load_image(tmp_path / "vmlinuz").disk_format == "raw"


def test_without_a_coordinator_nobody_waits(out: Path, tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "disk.raw").touch()
    with pytest.raises(LocalError, match=r"no coordinator answers(.|\n)*kubeseed serve"):
        power_up(out, ["m1"], order(tmp_path), say_to(said), 10)
    assert not (out / "vm").exists()


def test_two_nodes_do_not_fit_on_the_user_network(out: Path, tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "disk.raw").touch()
    with pytest.raises(UsageError, match="cannot see each other"):
        power_up(out, [], order(tmp_path), say_to(said), None)


def test_a_container_needs_a_bridge(out: Path, tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "root").mkdir()
    with pytest.raises(UsageError, match="--bridge br0"):
        power_up(out, ["m1"], order(tmp_path, DriverName.NSPAWN), say_to(said), None)


def test_a_bridge_that_is_not_there_is_refused(out: Path, tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "disk.raw").touch()
    with pytest.raises(KubeseedError, match="no bridge no-such-bridge"):
        power_up(out, ["m1"], order(tmp_path, bridge="no-such-bridge"), say_to(said), None)


def test_a_machine_is_written_down_and_found_again(sleeping: Running, out: Path) -> None:
    assert find(out / "vm/m1") == sleeping
    [row] = listed(out)
    assert (row["node"], row["on"], row["process"]) == ("m1", True, sleeping.process.pid)
    assert (out / "vm/m1").stat().st_mode & 0o777 == 0o700


def test_power_is_cut_at_once_and_the_disk_stays(sleeping: Running, out: Path, said: list[str]) -> None:
    assert power_down(out, ["m1"], 0, say_to(said)) == {"m1": "cut"}
    assert not sleeping.on
    assert (out / "vm/m1/disk").exists()
    assert power_down(out, [], 0, say_to(said)) == {"m1": "was off"}


def test_a_machine_that_obeys_is_not_cut(sleeping: Running, out: Path, said: list[str]) -> None:
    began = time.monotonic()
    assert power_down(out, ["m1"], 20, say_to(said)) == {"m1": "off"}
    assert time.monotonic() - began < 10


def test_a_node_that_was_never_on_cannot_be_powered_off(out: Path, said: list[str]) -> None:
    with pytest.raises(UsageError, match="never powered on: w1"):
        power_down(out, ["w1"], 0, say_to(said))
