"""Knows addresses, networks, ports and URLs."""

import re
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Self
from urllib.parse import urlsplit

from generator.value.invalid import InvalidValueError, quoted
from generator.value.name import is_subdomain

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Interface = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports `first` to `last`, both included: `30000-32767`."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Self:
        found = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})", text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]) <= 65535:
            raise InvalidValueError(f"{quoted(text)} is not a range of ports", "write first and last: 30000-32767")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last


def parse_open_port(text: str) -> str:
    """A port or a range of ports of a protocol: `9100/tcp`, `4000-4010/udp`."""
    ports, _, protocol = text.partition("/")
    first, _, last = ports.partition("-")
    try:
        PortRange.parse(f"{first}-{last or first}")
    except InvalidValueError:
        protocol = ""
    if protocol not in ("tcp", "udp"):
        raise InvalidValueError(f"{quoted(text)} is not a port with its protocol", "write 9100/tcp or 4000-4010/udp")
    return text


def parse_address(text: str) -> Address:
    """An IPv4 or IPv6 address, without prefix, zone or port."""
    try:
        return ip_address(text if "%" not in text else "")
    except ValueError:
        raise InvalidValueError(
            f"{quoted(text)} is not an IP address", "write it like 192.168.77.11 or fd00:77::11"
        ) from None


def parse_network(text: str) -> Network:
    """A network with its prefix, host bits zero."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        network = None
    if network is None or "/" not in text:
        raise InvalidValueError(f"{quoted(text)} is not a network", "write it with its prefix, like 10.244.0.0/16")
    if str(network.network_address) != str(ip_address(text.partition("/")[0])):
        raise InvalidValueError(f"{quoted(text)} has host bits set", f"the network is {network}")
    return network


def parse_interface(text: str) -> Interface:
    """An address together with its network: `172.17.0.1/16`."""
    try:
        if "/" in text:
            return ip_interface(text)
    except ValueError:
        pass
    raise InvalidValueError(f"{quoted(text)} is not an address with a prefix", "write it like 172.17.0.1/16")


def version_of(text: str) -> int:
    """4 or 6: the version of an address or a network that was parsed before."""
    return 6 if ":" in text else 4


def parse_dns_name(text: str) -> str:
    """A DNS name, no address."""
    if not is_subdomain(text) or re.fullmatch(r"[0-9.]+", text):
        raise InvalidValueError(f"{quoted(text)} is not a DNS name", "write it like cluster.local")
    return text


def parse_host(text: str) -> str:
    """An IP address (normalised) or a DNS name."""
    try:
        return str(parse_address(text))
    except InvalidValueError:
        if is_subdomain(text) and not re.fullmatch(r"[0-9.]+", text):
            return text
    raise InvalidValueError(f"{quoted(text)} is neither an IP address nor a DNS name")


def parse_url(text: str, schemes: tuple[str, ...] = ("http", "https")) -> str:
    """A URL with a host; user names and passwords in it are refused, because URLs end up in logs."""
    allowed = " or ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidValueError("the URL's host or port is malformed", f"write {allowed}HOST[:PORT][/PATH]") from None
    if "@" in parts.netloc:
        raise InvalidValueError("a URL may not carry a user name or password: URLs end up in logs")
    # A fragment means nothing to a server, and # opens a comment where apt and shells read the URL.
    marks = re.search(r"[\s\"'<>\\#]", text)
    if parts.scheme not in schemes or not host or marks or not text.isprintable():
        raise InvalidValueError(
            f"{quoted(text)} is not an {' or '.join(schemes)} URL", f"write {allowed}HOST[:PORT][/PATH]"
        )
    return text.rstrip("/") if not parts.path.strip("/") else text


def parse_https_url(text: str) -> str:
    """An https URL."""
    return parse_url(text, ("https",))


def parse_http_url(text: str) -> str:
    """A plain http URL: iPXE and installers of the public things only."""
    return parse_url(text, ("http",))
