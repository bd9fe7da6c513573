"""Knows series of names, addresses and MAC addresses that are written as one: `w[001-500]`, `10.0.0.1-10.0.1.244`."""

import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from generator.value.invalid import InvalidValueError, quoted
from generator.value.name import MacAddress
from generator.value.network import parse_address

# Kubernetes itself is made for 5,000 nodes.
LARGEST = 20_000

_NAMES = re.compile(r"([^\[\]]*)\[([0-9]{1,12})-([0-9]{1,12})\]([^\[\]]*)")


def names_of(text: str) -> Sequence[str] | None:
    """The names that `w[001-500]` stands for; None where the text is one name. Zeros in front are kept."""
    if "[" not in text:
        return None
    found = _NAMES.fullmatch(text)
    if found is None:
        raise InvalidValueError(f"{quoted(text)} is not a series of names", "write it like worker-[001-500]")
    before, first, last, after = found.groups()
    width = len(first)
    if first.startswith("0") and width > 1 and len(last) != width:
        raise InvalidValueError(
            f"{quoted(text)} has numbers of two widths", f"write {before}[{first}-{last:0>{width}}]"
        )
    numbers = _between(int(first), int(last), text)
    return [f"{before}{number:0{width}d}{after}" for number in numbers]


def addresses_of(text: str) -> Sequence[str] | None:
    """The addresses from the first to the last of `10.0.0.1-10.0.1.244`; None where the text is one address."""
    if "-" not in text:
        return None
    first, last = (parse_address(part.strip()) for part in _halves(text, "10.20.0.1-10.20.1.244"))
    if first.version != last.version:
        raise InvalidValueError(f"{quoted(text)} mixes IPv4 and IPv6", "write two addresses of one family")
    kind = type(first)
    return [str(kind(number)) for number in _between(int(first), int(last), text)]


def macs_of(text: str) -> Sequence[str] | None:
    """The MAC addresses from the first to the last of `52:54:00:00:01:00-52:54:00:00:02:f3`; None where it is one."""
    if "-" not in text or ":" not in text:
        return None
    first, last = (MacAddress.parse(part.strip()) for part in _halves(text, "52:54:00:00:01:00-52:54:00:00:02:f3"))
    numbers = _between(_number(first), _number(last), text)
    return [":".join(f"{number:012x}"[at : at + 2] for at in range(0, 12, 2)) for number in numbers]


Series = Callable[[str], Sequence[str] | None]
# Which keys of a node may be a series, and how each is read.
SERIES: dict[str, Series] = {"name": names_of, "address": addresses_of, "mac": macs_of}


def last_address(first: str, count: int) -> str:
    """The last of `count` addresses in a row."""
    return str(ip_address(first) + (count - 1))


def _number(mac: str) -> int:
    return int(mac.replace(":", ""), 16)


def _halves(text: str, example: str) -> Sequence[str]:
    halves = text.split("-")
    if len(halves) != 2:
        raise InvalidValueError(f"{quoted(text)} is not a series", f"write the first and the last: {example}")
    return halves


def _between(first: int, last: int, text: str) -> range:
    if last < first:
        raise InvalidValueError(f"{quoted(text)} counts backwards", "write the lower one first")
    if last - first >= LARGEST:
        raise InvalidValueError(f"{quoted(text)} are {last - first + 1} nodes; a spec has at most {LARGEST}")
    return range(first, last + 1)
