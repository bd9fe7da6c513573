"""Knows the settings of a machine: section `defaults`, each of which a node may override."""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from generator import value
from generator.spec.disk import Disk
from generator.spec.field import (
    EMPTY,
    AddressText,
    Flag,
    Host,
    Line,
    MapOf,
    Parsed,
    PasswordHash,
    Section,
    matching,
)
from generator.spec.node_network import NodeNetwork
from generator.spec.pxe import NodePxe

LoginName = Annotated[str, matching(r"[a-z_][a-z0-9_-]{0,31}", "a login name", "ops")]
OpenPort = Annotated[
    str, Parsed(value.parse_open_port, pattern="^[0-9]+(-[0-9]+)?/(tcp|udp)$", what="port with its protocol")
]
TimeZone = Annotated[str, matching(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", "a time zone", "Europe/Berlin")]


def _parse_ssh_key(text: str) -> str:
    """One line of authorized_keys without options (sshd(8)). Never quoted: it may be a private key."""
    kind = r"(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
    if not re.fullmatch(rf"{kind} AAAA\S*( [^\n]*)?", text.strip()) or not text.isprintable():
        raise value.InvalidValueError(
            "this is not an SSH public key", "paste the one line of the file that ends in .pub"
        )
    return text.strip()


SshKey = Annotated[str, Parsed(_parse_ssh_key, pattern="^(ssh|ecdsa|sk)-", what="SSH public key")]


class User(Section):
    """An account on the node, made by the installer."""

    name: LoginName = Field(description="Login name.")
    ssh_keys: tuple[SshKey, ...] = Field((), description="Public keys that may log in, as in authorized_keys.")
    password_hash: PasswordHash | None = Field(
        None,
        description="Password as a crypt(5) hash, made by `kubeseed hash-password`; null allows no password login.",
    )
    sudo: Flag = Field(True, description="May become root.")


class Firewall(StrEnum):
    """What is done with the machine's packet filter."""

    MANAGED = "managed"


class HostSettings(Section):
    """The settings of a machine. Under `defaults` they hold for every node; a node may override each."""

    os: Line = Field("debian-12", description="The operating system: a profile's id (see `kubeseed profiles`).")
    timezone: TimeZone = Field("Asia/Shanghai", description="Time zone of the tz database.")
    ntp: tuple[Host, ...] = Field(("ntp.aliyun.com",), description="Time servers; empty keeps those of the OS.")
    users: tuple[User, ...] = Field((), description="Accounts to make.")
    disable_firewall: Flag = Field(
        True, description="Switch off firewalld and ufw, as kubeadm-ha does; false leaves them as they are."
    )
    firewall: Firewall | None = Field(
        None,
        description="managed: keep strangers out of every port but those of the node's roles, whatever disableFirewall "
        "says; null: what disableFirewall says.",
    )
    open_ports: tuple[OpenPort, ...] = Field(
        (), description="Further ports that everybody may reach, with `firewall: managed`: 9100/tcp, 4000-4010/udp."
    )
    upgrade_kernel: Flag = Field(
        False, description="Install the newest kernel of the OS at first boot, and reboot once, before the node enrols."
    )
    hosts: MapOf[AddressText, tuple[Host, ...]] = Field(
        EMPTY, description="Further lines of /etc/hosts: an address and its names."
    )
    network: NodeNetwork = Field(NodeNetwork(), description="The node's own network.")
    disk: Disk = Field(Disk(), description="The machine's disks.")
    pxe: NodePxe = Field(NodePxe(), description="What the machine does when it boots over the network.")
    check_resources: Flag = Field(
        True, description="Stop on a machine that is too small: master 2 CPUs and 2 GiB, worker 2 CPUs and 4 GiB."
    )
    check_unique_ids: Flag = Field(
        True,
        description="A machine whose product_uuid or MAC address another node has enrolled with waits for "
        "`kubeseed approve`: kubeadm wants both to be unique. false lets it in, for containers that share a host's.",
    )
