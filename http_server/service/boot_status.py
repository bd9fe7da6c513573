"""Knows what an operator is shown of machines that boot over the network."""

from collections.abc import Mapping

from http_server.boot import Boot, Machine
from http_server.sighting import Sighting


def boot_data(boot: Boot | None) -> Mapping[str, object] | None:
    """The latch of a node, without the number of its run."""
    if boot is None:
        return None
    shown = {"state": boot.state, "cause": boot.cause, "since": boot.since, "until": boot.until}
    return {**shown, "machine": _machine(boot.machine)}


def sighting_data(seen: Sighting) -> Mapping[str, object]:
    """A machine that is no node; its marks have the names that the spec gives them."""
    return {**_machine(seen.machine), "peer": seen.peer, "reason": seen.reason, "last": seen.last, "count": seen.count}


def _machine(machine: Machine) -> Mapping[str, str]:
    return {"mac": machine.mac, "productUuid": machine.product_uuid, "serial": machine.serial}
