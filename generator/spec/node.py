"""Knows an entry of `nodes`: one machine and its place in the cluster."""

from enum import StrEnum
from functools import cached_property
from ipaddress import ip_network
from typing import Annotated

from pydantic import Field

from generator import value
from generator.spec.field import EMPTY, Address, Line, MacAddress, MapOf, NodeName, Parsed, Section, Taint
from generator.spec.host import HostSettings
from generator.value import Arch

ProductUuid = Annotated[str, Parsed(value.parse_uuid, format="uuid", what="UUID")]


class Role(StrEnum):
    """What a node does in the cluster."""

    MASTER = "master"
    WORKER = "worker"
    ETCD = "etcd"
    LB = "lb"


class Node(HostSettings):
    """One machine. In a parsed Cluster its host settings already hold what `defaults` says."""

    name: NodeName = Field(
        description="Host name and Kubernetes node name. A series, `w[001-500]`, makes this entry that many nodes."
    )
    roles: tuple[Role, ...] = Field(min_length=1, description="What the node does: master, worker, etcd, lb.")
    address: Address = Field(
        description="The node's own address in the cluster; for a series of nodes the first and the last, "
        "`10.20.0.1-10.20.1.244`."
    )
    arch: Arch = Field(Arch.AMD64, description="Processor architecture.")
    mac: MacAddress | None = Field(
        None,
        description="MAC address of the card that carries `address`; for a series of nodes the first and the last.",
    )
    macs: tuple[MacAddress, ...] = Field((), description="Several MAC addresses, the first carries `address`.")
    product_uuid: ProductUuid | None = Field(
        None,
        description="The machine's /sys/class/dmi/id/product_uuid; when set, only that machine may enrol.",
    )
    serial: Line | None = Field(None, description="The machine's serial number; when set, only it may enrol.")
    from_: Line | None = Field(
        None,
        alias="from",
        description="A CSV file beside the spec with one node in each line. Its columns are keys of a node, like "
        "`name`, `address`, `mac`, `labels.zone`; what this entry says itself holds for all of them.",
    )
    labels: MapOf[str, str] = Field(EMPTY, description="Labels that the kubelet registers the node with.")
    taints: tuple[Taint, ...] = Field((), description="Taints that the kubelet registers the node with.")

    @property
    def all_macs(self) -> tuple[str, ...]:
        """`mac` and `macs` as one, without repetition, the card of `address` first."""
        return tuple(dict.fromkeys(((self.mac,) if self.mac else ()) + self.macs))

    @cached_property
    def subnet(self) -> value.Network:
        """The network that `address` and `network.prefix` make."""
        prefix = min(self.network.prefix, self.address.max_prefixlen)
        return ip_network(f"{self.address}/{prefix}", strict=False)

    def with_defaults(self, defaults: HostSettings) -> "Node":
        """The node with every host setting it does not name itself taken from `defaults`."""
        return self.model_copy(update=_inherited(self, defaults))


def _inherited(own: Section, defaults: Section) -> dict[str, object]:
    """Values of `defaults` for the fields that `own` was not given; sections are taken key by key, lists whole."""
    taken: dict[str, object] = {}
    for field in type(defaults).model_fields:
        given, default = getattr(own, field), getattr(defaults, field)
        if field not in own.model_fields_set:
            taken[field] = default
        elif isinstance(default, Section) and isinstance(given, Section):
            taken[field] = given.model_copy(update=_inherited(given, default))
    return taken
