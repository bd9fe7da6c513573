"""Knows who a booting machine is and what it does next: pure decisions on inventory, latch and its own words."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from http_server.inventory import Inventory, Node
from http_server.model import EnrolmentState, Facts


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine says of itself over plain HTTP: never a proof. Empty where its firmware is silent."""

    mac: str = ""
    product_uuid: str = ""
    serial: str = ""
    platform: str = ""


class BootState(StrEnum):
    """How far the installation of a node generation is."""

    ARMED = "armed"
    OFFERED = "offered"
    INSTALLING = "installing"
    FAILED = "failed"
    INSTALLED = "installed"
    LIVE = "live"


UNDER_WAY = frozenset({BootState.OFFERED, BootState.INSTALLING, BootState.FAILED})

_WRITTEN = frozenset({BootState.INSTALLING, BootState.INSTALLED, BootState.LIVE})


@dataclass(frozen=True, slots=True)
class Boot:
    """The latch of one node: `run` names one installation, `machine` is the one that it was offered to.

    `wipe` lets it overwrite a disk that is not empty. An order of the operator is dead after `until`, unless the
    installation has begun: a half-written disk is finished. `since` is when `state` was reached.
    """

    node: str
    generation: int
    state: BootState
    run: str = ""
    machine: Machine = Machine()
    wipe: bool = False
    until: float = 0.0
    cause: str = ""
    since: float = 0.0


class Choice(StrEnum):
    """What a machine is told to do."""

    INSTALL = "install"
    LIVE = "live"
    LOCAL = "local"
    REFUSE = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do and why, in words of letters, digits and ` .,_-` only: they end up in a script."""

    choice: Choice
    reason: str
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """The node that a machine is; or a reason for which it is none although it looks like one; or nothing at all."""

    node: str = ""
    refused: str = ""


_MARKS: tuple[tuple[str, Callable[[Node], tuple[str, ...]], Callable[[Machine], str]], ...] = (
    ("MAC", lambda node: node.macs, lambda machine: machine.mac),
    ("product_uuid", lambda node: (node.productUuid,), lambda machine: machine.product_uuid),
    ("serial", lambda node: (node.serial,), lambda machine: machine.serial),
)


def identify(inventory: Inventory, machine: Machine) -> Match:
    """The node by MAC, then product_uuid, then serial. Marks that point to different nodes match none of them."""
    claims = tuple(_claims(inventory, machine))
    if not claims:
        return Match()
    if len({name for _, name in claims}) > 1:
        return Match(refused=", ".join(f"its {what} is that of {name}" for what, name in claims))
    first, name = claims[0]
    for what, theirs, said in _MARKS:
        expected = [mark for mark in theirs(inventory.nodes[name]) if mark]
        if expected and said(machine) and said(machine) not in expected:
            return Match(refused=f"its {first} is that of {name}, its {what} is not")
    return Match(name)


def _claims(inventory: Inventory, machine: Machine) -> Iterator[tuple[str, str]]:
    for what, theirs, said in _MARKS:
        for name, node in inventory.nodes.items():
            if said(machine) and said(machine) in theirs(node):
                yield what, name


def decide(
    name: str, node: Node, boot: Boot | None, machine: Machine, enrolment: EnrolmentState, now: float
) -> Decision:
    """What the machine of this node does when it boots over the network."""
    if node.boot is None:
        return Decision(Choice.LOCAL, f"{name} is not installed over the network")
    if enrolment is EnrolmentState.REVOKED:
        return Decision(Choice.REFUSE, f"{name} is revoked")
    current = boot if boot and boot.generation == node.generation else None
    strange = current is not None and not same_machine(node, current.machine, machine)
    if node.boot.deploy == "live":
        return _twin(name, Choice.REFUSE) if strange else Decision(Choice.LIVE, f"{name} runs live")
    if current is None:
        return _first(name, enrolment)
    return _later(name, current, now, strange=strange)


def _first(name: str, enrolment: EnrolmentState) -> Decision:
    if enrolment is EnrolmentState.ISSUED:
        return Decision(Choice.INSTALL, f"{name} is new")
    return Decision(Choice.LOCAL, f"{name} has enrolled already")


def _later(name: str, boot: Boot, now: float, *, strange: bool) -> Decision:
    over = 0 < boot.until <= now
    match boot.state:
        case BootState.ARMED if not over:
            return Decision(Choice.INSTALL, f"{name} is to be reinstalled")
        case BootState.ARMED:
            return Decision(Choice.LOCAL, f"the time for reinstalling {name} is over")
        case BootState.OFFERED if over:
            return Decision(Choice.LOCAL, f"the time for reinstalling {name} is over")
        case BootState.OFFERED | BootState.INSTALLING | BootState.FAILED:
            return _twin(name, Choice.REFUSE) if strange else Decision(Choice.INSTALL, f"{name} is not finished")
    return _twin(name, Choice.LOCAL) if strange else Decision(Choice.LOCAL, f"{name} is installed")


def _twin(name: str, choice: Choice) -> Decision:
    return Decision(choice, f"another machine was installed as {name}", alarm=True)


def same_machine(node: Node, known: Machine, asking: Machine) -> bool:
    """Whether this is the machine that the installation was offered to; one that was never seen may be any.

    Cards of one node stand for each other, because a machine may boot from either.
    """
    if known == Machine():
        return True
    cards = known.mac == asking.mac or {known.mac, asking.mac} <= set(node.macs)
    return cards and known.product_uuid == asking.product_uuid and known.serial == asking.serial


def vouches(boot: Boot, facts: Facts, now: float, seconds: float) -> bool:
    """Whether the machine that enrols is the one that was installed within so many seconds: same card, same UUID."""
    done = boot.state in {BootState.INSTALLED, BootState.LIVE} and now - boot.since <= seconds
    known = boot.machine
    return done and known.mac in facts.macs and bool(known.product_uuid) and known.product_uuid == facts.product_uuid


def is_of_this_system(boot: Boot | None, at: float) -> bool:
    """Whether a report of that moment is of the system installed last; the one before is gone with its disk."""
    return boot is None or boot.state not in _WRITTEN or at >= boot.since


def offer(name: str, node: Node, boot: Boot | None, machine: Machine, run: str, now: float) -> Boot:
    """The latch once the machine was given its installation; the same again while that installation is under way."""
    current = boot if boot and boot.generation == node.generation else None
    if current and current.state in UNDER_WAY:
        return current
    armed = current if current and current.state is BootState.ARMED else Boot(name, node.generation, BootState.ARMED)
    return replace(armed, state=BootState.OFFERED, run=run, machine=machine, cause="", since=now)
