"""Knows the small values of a spec: each is parsed and normalised once, here, and never doubted again."""

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import total_ordering
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Self
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class InvalidValueError(ValueError):
    """The text is not such a value; `hint` says what to write instead. Never quotes the text of a secret."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


# RFC 1123 section 2.1 as Kubernetes reads it: lower case, labels of at most 63, at most 253 in all.
_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")


def is_subdomain(text: str) -> bool:
    """Whether `text` is an RFC 1123 subdomain as Kubernetes wants object names."""
    return len(text) <= 253 and _SUBDOMAIN.fullmatch(text) is not None


def is_label(text: str) -> bool:
    """Whether `text` is a single RFC 1123 label."""
    return re.fullmatch(_LABEL, text) is not None


class NodeName(str):
    """An RFC 1123 subdomain: host name, Kubernetes node name and folder name of the node's seed."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        if not is_subdomain(text):
            wanted = "lower-case letters, digits and '-' (and '.' between labels), at most 253 characters"
            raise InvalidValueError(f"{text!r} is not a node name", f"use {wanted}, for example worker-1")
        return cls(text)


class MacAddress(str):
    """An EUI-48 address, normalised to lower case with colons."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        digits = re.sub(r"[:.\-]", "", text.lower())
        if not re.fullmatch(r"[0-9a-f]{12}", digits):
            raise InvalidValueError(f"{text!r} is not a MAC address", "write six bytes like 52:54:00:12:34:56")
        if int(digits[1], 16) & 1 or digits == "0" * 12:
            raise InvalidValueError(
                f"{text!r} is not the address of a single network card",
                "the second digit of a card's address is even, and not all digits are zero",
            )
        return cls(":".join(digits[at : at + 2] for at in range(0, 12, 2)))

    @property
    def dashed(self) -> str:
        """As PXELINUX and some BMCs write it: `52-54-00-12-34-56`."""
        return self.replace(":", "-")


class KubeadmApi(StrEnum):
    """The versions of kubeadm's configuration, `kubeadm.k8s.io/<version>`."""

    V1BETA2 = "v1beta2"
    V1BETA3 = "v1beta3"
    V1BETA4 = "v1beta4"


@dataclass(frozen=True, slots=True, order=True)
class KubeVersion:
    """A released Kubernetes version: `1.30.5`; a leading `v` is dropped."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Self:
        found = re.fullmatch(r"v?(\d{1,3})\.(\d{1,3})\.(\d{1,3})", text)
        if found is None:
            raise InvalidValueError(f"{text!r} is not a Kubernetes version", "write all three numbers: 1.30.5")
        return cls(*(int(number) for number in found.groups()))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def release(self) -> str:
        """The minor release as package repositories name it: `1.30`."""
        return f"{self.major}.{self.minor}"

    @property
    def kubeadm_api(self) -> KubeadmApi:
        """The newest configuration version that this version's kubeadm writes (kubeadm's own migration table)."""
        if self.minor < 22:
            return KubeadmApi.V1BETA2
        return KubeadmApi.V1BETA3 if self.minor < 31 else KubeadmApi.V1BETA4


_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}


@total_ordering
@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time in Go's notation, and days: `40s`, `1h30m`, `36500d`. `str` gives the text back."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        if not re.fullmatch(r"(\d{1,9}(ms|s|m|h|d))+", text):
            raise InvalidValueError(f"{text!r} is not a duration", "write a number with ms, s, m, h or d: 40s, 3650d")
        return cls(text)

    def __str__(self) -> str:
        return self.text

    def __lt__(self, other: "Duration") -> bool:
        return self.seconds < other.seconds

    @property
    def seconds(self) -> Decimal:
        parts = re.findall(r"(\d+)(ms|[smhd])", self.text)
        return sum((int(number) * _SECONDS[unit] for number, unit in parts), Decimal(0))

    @property
    def days(self) -> int:
        """Whole days, rounded down."""
        return int(self.seconds // _SECONDS["d"])


_FACTORS = {
    "": Decimal(1), "m": Decimal("0.001"), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9),
    "T": Decimal(10**12), "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quantity:
    """A Kubernetes resource.Quantity: `100m`, `256M`, `10Gi`. `str` gives the text back."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        if not re.fullmatch(r"\d{1,15}(\.\d{1,9})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?", text):
            raise InvalidValueError(
                f"{text!r} is not a quantity", "write a number with m, k, M, G, T, Ki, Mi, Gi or Ti: 100m, 256Mi"
            )
        return cls(text)

    def __str__(self) -> str:
        return self.text

    @property
    def value(self) -> Decimal:
        """In the base unit: bytes, or cores."""
        number = self.text.rstrip("mkMGTi")
        return Decimal(number) * _FACTORS[self.text[len(number) :]]


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports `first` to `last`, both included: `30000-32767`."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Self:
        found = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]) <= 65535:
            raise InvalidValueError(f"{text!r} is not a range of ports", "write the first and the last: 30000-32767")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last


class TaintEffect(StrEnum):
    """core/v1 TaintEffect."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


@dataclass(frozen=True, slots=True)
class Taint:
    """A taint as kubectl writes it: `key=value:Effect`, or `key:Effect` when the value is empty."""

    key: str
    value: str
    effect: TaintEffect

    @classmethod
    def parse(cls, text: str) -> Self:
        pair, colon, effect = text.rpartition(":")
        key, _, value = pair.partition("=")
        if not colon or not key or effect not in set(TaintEffect):
            raise InvalidValueError(
                f"{text!r} is not a taint", f"write key=value:EFFECT; EFFECT is {', '.join(TaintEffect)}"
            )
        return cls(key, value, TaintEffect(effect))

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


def parse_address(text: str) -> Address:
    """An IPv4 or IPv6 address, without prefix, zone or port."""
    try:
        return ip_address(text if "%" not in text else "")
    except ValueError:
        raise InvalidValueError(
            f"{text!r} is not an IP address", "write it like 192.168.77.11 or fd00:77::11"
        ) from None


def parse_network(text: str) -> Network:
    """A network with its prefix, host bits zero."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        network = None
    if network is None or "/" not in text:
        raise InvalidValueError(f"{text!r} is not a network", "write it with its prefix, like 10.244.0.0/16")
    if str(network.network_address) != str(ip_address(text.partition("/")[0])):
        raise InvalidValueError(f"{text!r} has host bits set", f"the network is {network}")
    return network


def parse_host(text: str) -> str:
    """An IP address (normalised) or a DNS name."""
    try:
        return str(parse_address(text))
    except InvalidValueError:
        if is_subdomain(text) and not re.fullmatch(r"[\d.]+", text):
            return text
    raise InvalidValueError(f"{text!r} is neither an IP address nor a DNS name")


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
    if parts.scheme not in schemes or not host or re.search(r"[\s\x00-\x1f\x7f\"'<>\\]", text):
        raise InvalidValueError(f"{text!r} is not a URL of this kind", f"write {allowed}HOST[:PORT][/PATH]")
    return text.rstrip("/") if not parts.path.strip("/") else text


def parse_https_url(text: str) -> str:
    """An https URL."""
    return parse_url(text, ("https",))


def parse_http_url(text: str) -> str:
    """A plain http URL: iPXE and installers of the public things only."""
    return parse_url(text, ("http",))


def parse_password_hash(text: str) -> str:
    """A crypt(5) hash of a method that is still sound: yescrypt, gost-yescrypt, scrypt, bcrypt, SHA-512, SHA-256."""
    if not re.fullmatch(r"\$(y|gy|7|2[aby]|6|5)\$[./A-Za-z0-9$=,]{8,250}", text):
        raise InvalidValueError("this is not a password hash", "hash the password with: kubeseed hash-password")
    return text


def parse_absolute_path(text: str) -> str:
    """An absolute POSIX path without `..`, doubled slashes or characters that a shell would notice."""
    if not re.fullmatch(r"(/[A-Za-z0-9_.@%+=:,-]+)+", text) or {".", ".."} & set(text.split("/")):
        raise InvalidValueError(f"{text!r} is not a plain absolute path", "write it like /var/lib/etcd")
    return text


def parse_uuid(text: str) -> str:
    """A UUID in the lower-case form of RFC 9562, section 4: firmware prints either case."""
    lower = text.lower()
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", lower):
        raise InvalidValueError(f"{text!r} is not a UUID", "copy /sys/class/dmi/id/product_uuid of the machine")
    return lower
