"""The small values of a spec: each is parsed and normalised once, here, and never doubted again."""

from generator.value.invalid import InvalidValueError, quoted
from generator.value.machine import Arch, parse_absolute_path, parse_password_hash, parse_uuid
from generator.value.measure import Duration, Quantity
from generator.value.name import MacAddress, NodeName, is_subdomain, parse_label
from generator.value.network import (
    Address,
    Network,
    PortRange,
    parse_address,
    parse_dns_name,
    parse_host,
    parse_http_url,
    parse_https_url,
    parse_interface,
    parse_network,
    parse_open_port,
    parse_url,
    version_of,
)
from generator.value.taint import Taint, TaintEffect
from generator.value.version import KubeadmApi, KubeVersion

__all__ = [
    "Address",
    "Arch",
    "Duration",
    "InvalidValueError",
    "KubeVersion",
    "KubeadmApi",
    "MacAddress",
    "Network",
    "NodeName",
    "PortRange",
    "Quantity",
    "Taint",
    "TaintEffect",
    "is_subdomain",
    "parse_absolute_path",
    "parse_address",
    "parse_dns_name",
    "parse_host",
    "parse_http_url",
    "parse_https_url",
    "parse_interface",
    "parse_label",
    "parse_network",
    "parse_open_port",
    "parse_password_hash",
    "parse_url",
    "parse_uuid",
    "quoted",
    "version_of",
]
