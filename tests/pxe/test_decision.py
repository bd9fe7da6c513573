"""Who a booting machine is, and what it is told: the rules alone."""

from typing import Any

import pytest

from http_server.boot import Boot, BootState, Choice, Decision, Machine, decide, identify, offer, same_machine, vouches
from http_server.inventory import Inventory, Node, parse_inventory
from http_server.model import EnrolmentState, Facts
from tests.http.outfolder import make_out
from tests.pxe.bootable import UUID, make_bootable

NOW = 1_000_000.0
M1 = Machine("52:54:00:00:00:11", UUID.format(11), "SN11")
OTHER = Machine("52:54:00:00:00:11", UUID.format(99), "SN11")


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    import json

    out = make_out(tmp_path_factory.mktemp("out"), 8443)
    make_bootable(out, w2="live")
    out.node("m1")["macs"] += ["52:54:00:00:01:11"]
    out.node("m2")["productUuid"] = UUID.format(12)
    out.node("m3").update(macs=[], productUuid=UUID.format(13))
    out.node("w1").update(macs=[], serial="SN14")
    return parse_inventory(json.dumps(out.inventory).encode())


@pytest.mark.parametrize(
    ("machine", "node", "refused"),
    [
        (M1, "m1", ""),
        (Machine("52:54:00:00:01:11"), "m1", ""),
        (Machine("52:54:00:00:00:12", UUID.format(12)), "m2", ""),
        (Machine("52:54:00:00:00:12"), "m2", ""),  # old firmware tells no UUID
        (Machine("52:54:00:00:00:99", UUID.format(13)), "m3", ""),
        (Machine("52:54:00:00:00:99", UUID.format(98), "SN14"), "w1", ""),
        (Machine("52:54:00:00:00:99", UUID.format(98), "SN98"), "", ""),
        (Machine("52:54:00:00:00:12", UUID.format(98)), "", "its MAC is that of m2, its product_uuid is not"),
        (Machine("52:54:00:00:00:99", UUID.format(12)), "", "its product_uuid is that of m2, its MAC is not"),
        (Machine("52:54:00:00:00:11", UUID.format(13)), "", "its MAC is that of m1, its product_uuid is that of m3"),
        (
            Machine("52:54:00:00:00:99", UUID.format(13), "SN14"),
            "", "its product_uuid is that of m3, its serial is that of w1",
        ),
    ],
)  # fmt: skip
def test_marks_that_disagree_match_nobody(inventory: Inventory, machine: Machine, node: str, refused: str) -> None:
    match = identify(inventory, machine)
    assert (match.node, match.refused) == (node, refused)


def state(name: str, **changes: Any) -> Boot:
    return Boot("m1", 1, BootState(name), **{"run": "r", "machine": M1, "since": NOW, **changes})


@pytest.mark.parametrize(
    ("boot", "machine", "enrolment", "choice"),
    [
        (None, M1, "issued", "install"),
        (None, M1, "pending", "local"),
        (None, M1, "bound", "local"),
        (None, M1, "revoked", "refused"),
        (state("offered"), M1, "issued", "install"),
        (state("installing"), M1, "issued", "install"),
        (state("failed", cause="digest"), M1, "issued", "install"),
        (state("offered"), OTHER, "issued", "refused"),
        (state("installing"), OTHER, "issued", "refused"),
        (state("installed"), M1, "issued", "local"),
        (state("installed"), M1, "bound", "local"),
        (state("installed"), OTHER, "bound", "local"),
        (state("installed"), M1, "revoked", "refused"),
        (state("armed", until=NOW + 1, machine=Machine(), wipe=True), OTHER, "bound", "install"),
        (state("armed", until=NOW, machine=Machine(), wipe=True), M1, "bound", "local"),
        (state("offered", until=NOW, wipe=True), M1, "bound", "local"),
        # A half-written disk is finished, however long it takes.
        (state("installing", until=NOW - 9, wipe=True), M1, "issued", "install"),
        (state("failed", until=NOW - 9, wipe=True), M1, "issued", "install"),
    ],
)
def test_what_a_machine_is_told(
    inventory: Inventory, boot: Boot | None, machine: Machine, enrolment: str, choice: str
) -> None:
    decision = told(inventory, "m1", boot, machine, enrolment)
    assert decision.choice == choice
    strange = boot is not None and boot.state is not BootState.ARMED and machine == OTHER
    assert decision.alarm == strange


def told(inventory: Inventory, name: str, boot: Boot | None, machine: Machine, enrolment: str = "issued") -> Decision:
    return decide(name, inventory.nodes[name], boot, machine, EnrolmentState(enrolment), NOW)


def test_a_new_generation_starts_afresh(inventory: Inventory) -> None:
    node = inventory.nodes["m1"].model_copy(update={"generation": 2})
    decision = decide("m1", node, state("installed"), OTHER, EnrolmentState.ISSUED, NOW)
    assert decision.choice is Choice.INSTALL
    assert offer("m1", node, state("installed"), OTHER, "new", NOW) == Boot(
        "m1", 2, BootState.OFFERED, "new", OTHER, since=NOW
    )


def test_a_live_node_runs_live_on_one_machine(inventory: Inventory) -> None:
    assert told(inventory, "w2", None, M1).choice is Choice.LIVE
    running = state("live")
    assert told(inventory, "w2", running, M1, "bound").choice is Choice.LIVE
    assert told(inventory, "w2", running, OTHER, "bound") == Decision(
        Choice.REFUSE, "another machine was installed as w2", alarm=True
    )


def test_a_node_without_network_boot_boots_its_disk(inventory: Inventory) -> None:
    node = inventory.nodes["m1"].model_copy(update={"boot": None})
    assert decide("m1", node, None, M1, EnrolmentState.ISSUED, NOW).choice is Choice.LOCAL


def test_the_offer_stands_until_it_is_used(inventory: Inventory) -> None:
    node = inventory.nodes["m1"]
    first = offer("m1", node, None, M1, "first", NOW)
    assert first == Boot("m1", 1, BootState.OFFERED, "first", M1, since=NOW)
    assert offer("m1", node, first, M1, "second", NOW + 9) == first
    armed = Boot("m1", 1, BootState.ARMED, wipe=True, until=NOW + 60, since=NOW)
    again = offer("m1", node, armed, M1, "third", NOW + 9)
    assert again == Boot("m1", 1, BootState.OFFERED, "third", M1, wipe=True, until=NOW + 60, since=NOW + 9)


def test_cards_of_one_node_stand_for_each_other(inventory: Inventory) -> None:
    node: Node = inventory.nodes["m1"]
    second = Machine("52:54:00:00:01:11", M1.product_uuid, M1.serial)
    assert same_machine(node, M1, second)
    assert not same_machine(node, M1, Machine("52:54:00:00:00:99", M1.product_uuid, M1.serial))
    assert not same_machine(node, M1, OTHER)


@pytest.mark.parametrize(
    ("boot", "facts", "seconds", "vouched"),
    [
        (state("installed"), Facts((M1.mac,), M1.product_uuid), 60, True),
        (state("live"), Facts((M1.mac, "aa:bb:cc:dd:ee:ff"), M1.product_uuid), 60, True),
        (state("installed", since=NOW - 61), Facts((M1.mac,), M1.product_uuid), 60, False),
        (state("installing"), Facts((M1.mac,), M1.product_uuid), 60, False),
        (state("installed"), Facts(("52:54:00:00:00:99",), M1.product_uuid), 60, False),
        (state("installed"), Facts((M1.mac,), OTHER.product_uuid), 60, False),
        (state("installed", machine=Machine(M1.mac)), Facts((M1.mac,), ""), 60, False),
    ],
)
def test_the_network_is_trusted_for_the_machine_that_was_installed(
    boot: Boot, facts: Facts, seconds: float, vouched: bool
) -> None:
    assert vouches(boot, facts, NOW, seconds) is vouched
