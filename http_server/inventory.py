"""Knows the inventory (docs/protocol.md), what the generator tells the coordinator. Parsed strictly, then frozen."""

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from ipaddress import ip_address
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

UUID = r"([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?"
LARGEST = 64 * 1024 * 1024


def _matching(pattern: str, what: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"{text[:64]!r} is not {what}")
        return text

    return AfterValidator(check)


def _check_path(text: str) -> str:
    """A path that stays below its folder, in characters that no tar or shell reads twice."""
    plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:-]*(/[A-Za-z0-9._:-]+)*", text)
    if not plain or {".", ".."} & set(text.split("/")) or len(text) > 200:
        raise ValueError(f"{text[:64]!r} is not a plain relative path")
    return text


def _check_name(text: str) -> str:
    """DNS:name or IP:address, as OpenSSL writes subject alternative names."""
    kind, _, value = text.partition(":")
    if kind == "IP":
        ip_address(value)
    elif kind != "DNS" or not re.fullmatch(r"(\*\.)?[A-Za-z0-9_]([-A-Za-z0-9_.]{0,252})", value):
        raise ValueError(f"{text[:64]!r} is neither DNS:name nor IP:address")
    return text


def _check_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname or parts.username or not (parts.port is None or parts.port > 0):
        raise ValueError(f"{text[:64]!r} is not https://HOST[:PORT]")
    return text


Digest = Annotated[str, _matching(r"[0-9a-f]{64}", "a SHA-256 in lower-case hexadecimal")]
Name = Annotated[str, _matching(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", "a node or cluster name")]
Word = Annotated[str, _matching(r"[a-z0-9][a-z0-9._-]{0,252}", "a short name")]
Mac = Annotated[str, _matching(r"[0-9a-f]{2}(:[0-9a-f]{2}){5,19}", "a MAC address in lower case with colons")]
Mode = Annotated[str, _matching(r"0[0-7]{3}", "a file mode like 0644")]
HostPort = Annotated[str, _matching(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}", "host:port")]
Subject = Annotated[
    str, _matching(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,63}", "a subject of 64 characters (RFC 5280, ub-common-name)")
]
Address = Annotated[str, AfterValidator(lambda text: str(ip_address(text)))]
RelativePath = Annotated[str, AfterValidator(_check_path)]
AlternativeName = Annotated[str, AfterValidator(_check_name)]
HttpsUrl = Annotated[str, AfterValidator(_check_url)]


class Role(StrEnum):
    """What a node is for."""

    MASTER = "master"
    WORKER = "worker"
    ETCD = "etcd"
    LB = "lb"


class AuthorityName(StrEnum):
    """The three unrelated certificate authorities of a cluster."""

    KUBERNETES = "kubernetes"
    FRONT_PROXY = "front-proxy"
    ETCD = "etcd"


class Strict(BaseModel):
    """Unknown keys are refused, values are never coerced, nothing changes after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FileEntry(Strict):
    """One file of a fileset: its bytes lie at `files/<fileset>/<path>`."""

    path: RelativePath
    mode: Mode
    sha256: Digest


class Leaf(Strict):
    """All that a certificate will say, but for its public key and its issuer; `days` of validity."""

    commonName: Subject  # noqa: N815 - kubeadm's and the inventory's spelling
    organizations: tuple[Subject, ...] = Field(default=(), strict=False)
    sans: tuple[AlternativeName, ...] = Field(default=(), strict=False)
    usages: tuple[Literal["serverAuth", "clientAuth"], ...] = Field(strict=False, min_length=1)
    days: int = Field(ge=1, le=73000)


class Certificate(Leaf):
    """A certificate that a node may ask for."""

    authority: Annotated[AuthorityName, Field(strict=False)]


class Boot(Strict):
    """What a machine gets when it boots over the network; `image` is a name of the index of images."""

    deploy: Literal["image", "live", "installer"]
    image: Word


class Node(Strict):
    """One machine of the cluster. `productUuid` and `serial` are empty where the spec names none."""

    generation: int = Field(ge=1)
    roles: tuple[Annotated[Role, Field(strict=False)], ...] = Field(strict=False, min_length=1)
    address: Address
    macs: tuple[Mac, ...] = Field(strict=False)
    productUuid: Annotated[str, _matching(UUID, "a UUID in lower case, or empty")] = ""  # noqa: N815
    serial: Annotated[str, _matching(r"[ -~]{0,128}", "a serial number")] = ""
    checkUniqueIds: bool = True  # noqa: N815
    boot: Boot | None = None
    enrolId: Annotated[str, _matching(r"[0-9a-f]{16}", "16 hexadecimal digits")]  # noqa: N815
    secretDigest: Digest  # noqa: N815
    filesets: tuple[Word, ...] = Field(strict=False)
    skipStages: tuple[Word, ...] = Field(default=(), strict=False)  # noqa: N815
    certificates: dict[Word, Certificate]

    @property
    def master(self) -> bool:
        """Whether the node carries the control plane."""
        return Role.MASTER in self.roles

    @property
    def member(self) -> bool:
        """Whether a member of etcd may run here: by role, or as kubeadm's own on a master."""
        return bool({Role.MASTER, Role.ETCD} & set(self.roles))

    @property
    def only_worker(self) -> bool:
        """Whether the node holds nothing but its own workload: no control plane and no etcd."""
        return set(self.roles) == {Role.WORKER}


class Inventory(Strict):
    """The cluster as the generator described it; `format` 1."""

    format: Literal[1]
    cluster: Name
    specDigest: Digest  # noqa: N815
    urls: tuple[HttpsUrl, ...] = Field(strict=False, min_length=1)
    firstMaster: Name  # noqa: N815
    stages: tuple[Word, ...] = Field(strict=False, min_length=1)
    endpoint: HttpsUrl
    apiServers: tuple[HostPort, ...] = Field(strict=False)  # noqa: N815
    join: Literal["token", "certificate"]
    caDays: int = Field(ge=1, le=73000)  # noqa: N815
    encryption: Literal["aescbc", "secretbox", "aesgcm"] | None
    trustSeconds: int = Field(default=0, ge=0)  # noqa: N815
    backupHours: int = Field(default=0, ge=0, le=24)  # noqa: N815
    filesets: dict[Word, tuple[FileEntry, ...]] = Field(strict=False)
    nodes: dict[Name, Node]

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.firstMaster not in self.nodes or not self.nodes[self.firstMaster].master:
            raise ValueError(f"firstMaster {self.firstMaster!r} is not a node of role master")
        if len(self.by_enrol_id) != len(self.nodes):
            raise ValueError("two nodes share an enrolId")
        wanted = {name for node in self.nodes.values() for name in node.filesets}
        if missing := sorted(wanted - set(self.filesets)):
            raise ValueError(f"filesets are named by nodes but not listed: {', '.join(missing)}")
        return self

    @cached_property
    def by_enrol_id(self) -> Mapping[str, str]:
        """Node names by enrolment id."""
        return {node.enrolId: name for name, node in self.nodes.items()}

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names and addresses under which nodes reach the coordinator."""
        return tuple(dict.fromkeys(urlsplit(url).hostname or "" for url in self.urls))

    @property
    def port(self) -> int:
        """The port of the first URL."""
        return urlsplit(self.urls[0]).port or 443


class InventoryError(ValueError):
    """The inventory is not one: every problem, one per line."""


def parse_inventory(data: bytes) -> Inventory:
    """The inventory in these JSON bytes, or all that is wrong with them."""
    if len(data) > LARGEST:
        raise InventoryError(f"larger than {LARGEST} bytes")
    try:
        return Inventory.model_validate_json(data)
    except ValidationError as error:
        raise InventoryError("\n".join(_tell(problem["loc"], problem["msg"]) for problem in error.errors())) from None


def _tell(place: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(str(step) for step in place) or 'inventory'}: {message}"
