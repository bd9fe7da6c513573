"""The root of the seeds comes to its end while nodes run: both sides for real, and the years pass."""

import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from generator.bundle import renew_bundle
from generator.rollover import take_step
from generator.root import LIFETIME, Root, make_root
from generator.root_step import RootStep
from http_server.coordinator import assemble
from http_server.errors import StartError
from http_server.settings import Out, Settings
from tests.http.process import Coordinator
from tests.http.test_node_scripts import forward
from tests.node.machine import Machine, assert_root

pytestmark = pytest.mark.skipif(bool(assert_root()), reason=str(assert_root()))
RENEW = "/usr/local/lib/kubeseed/renew"
DAY = 86400.0


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    with (
        TemporaryDirectory(dir="/dev/shm", prefix="kubeseed-") as one,
        TemporaryDirectory(dir="/dev/shm", prefix="kubeseed-") as two,
        Machine(Path(one)) as first,
        Machine(Path(two), NODE="w1") as second,
    ):
        yield first, second


def hold(coordinator: Coordinator, root: Root, trusted: str) -> None:
    """What `generate` would have written."""
    folder = coordinator.out.root
    (folder / "secrets/root.crt").write_text(root.certificate)
    (folder / "secrets/root.key").write_text(root.key.reveal())
    (folder / "pxe/ca.crt").write_text(trusted)


def boot(coordinator: Coordinator, machine: Machine, node: str, root: str) -> None:
    """The machine's bootstrap, as far as it concerns this test, under this root."""
    door = machine.listen()
    threading.Thread(target=forward, args=(door, coordinator.port), daemon=True).start()
    secret = coordinator.out.seal(node).partition(" ")[2]
    url = f"https://127.0.0.1:{door.getsockname()[1]}"
    machine.seed(root, secret, COORDINATORS=url, NODE=node, STAGES="clock enrol scrub", CERTIFICATES="")
    status, output = machine.boot()
    assert status == 0, output


def known(machine: Machine) -> bool:
    """Whether the node still believes the coordinator."""
    asks = '. /usr/local/lib/kubeseed/lib.sh; request /v1/root; [ "$STATUS" = 200 ]'
    return machine.boot("/bin/sh", "-euc", asks)[0] == 0


def test_a_root_is_renewed_before_it_ends(coordinator: Coordinator, machines: tuple[Machine, Machine]) -> None:
    """F30: a node that looked in time goes on under the new root, one that did not believes nobody."""
    now = datetime.now(UTC)
    old = make_root("prod", now - LIFETIME + timedelta(days=30), os.urandom)
    coordinator.kill()
    for node in ("m1", "w1"):
        coordinator.out.node(node).update({"macs": [], "checkUniqueIds": False})  # both machines are this one
    coordinator.out.write_inventory()
    hold(coordinator, old, old.certificate)
    coordinator.start()
    machine, late = machines
    boot(coordinator, machine, "m1", old.certificate)
    boot(coordinator, late, "w1", old.certificate)

    bundle = renew_bundle(None, "prod", ("m1", "w1"), now=now, random=os.urandom)
    bundle = type(bundle)(bundle.cluster, old, bundle.keepalived_password, bundle.enrolments)
    both = take_step(bundle, RootStep.NEXT, now=now, random=os.urandom)
    hold(coordinator, both.root, both.trusted)
    status, output = machine.boot(RENEW)
    assert status == 0, output
    assert machine.read("etc/kubeseed/ca.crt") == both.trusted
    assert known(machine)
    assert known(late)

    switched = take_step(both, RootStep.SWITCH, now=now + timedelta(days=2), random=os.urandom)
    coordinator.kill()
    hold(coordinator, switched.root, switched.trusted)
    coordinator.start()
    assert known(machine)
    assert not known(late)

    alone = take_step(switched, RootStep.RETIRE, now=now, random=os.urandom)
    hold(coordinator, alone.root, alone.trusted)
    assert machine.boot(RENEW)[0] == 0
    assert machine.read("etc/kubeseed/ca.crt") == alone.root.certificate
    assert known(machine)

    coordinator.kill()
    settings, later = Settings(Out(coordinator.out.root)), time.time() + 31 * DAY
    with assemble(settings, lambda: later):
        pass  # a month on, under the new root
    hold(coordinator, old, old.certificate)
    with pytest.raises(StartError, match="has expired"), assemble(settings, lambda: later):
        pass
