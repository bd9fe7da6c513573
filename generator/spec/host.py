"""Knows the settings of a machine: section `defaults`, each of which a node may override."""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from generator import value
from generator.spec.field import (
    EMPTY,
    Address,
    AddressText,
    Flag,
    Host,
    Integer,
    Line,
    MapOf,
    Parsed,
    PasswordHash,
    Section,
    matching,
)

LoginName = Annotated[str, matching(r"[a-z_][a-z0-9_-]{0,31}", "a login name", "ops")]
DiskDevice = Annotated[str, matching(r"/dev/[A-Za-z0-9/_.:-]+", "a disk", "/dev/sda")]
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


class NodeNetwork(Section):
    """The node's own network."""

    dhcp: Flag = Field(
        False,
        description="Take the address from DHCP; the node's `address` must then be what the DHCP server hands out.",
    )
    gateway: Address | None = Field(None, description="Default gateway; null is none.")
    nameservers: tuple[Address, ...] = Field((), description="DNS resolvers.")
    prefix: Integer = Field(24, ge=1, le=128, description="Prefix length of the node's network.")


class DiskLayout(StrEnum):
    """How the installer partitions the disk."""

    SIMPLE = "simple"


class Disk(Section):
    """The disk that an installer writes to; cloud images do not use it."""

    device: DiskDevice | None = Field(
        None,
        description="The disk, like /dev/sda or /dev/disk/by-id/...; null is the installer's first disk.",
    )
    layout: DiskLayout = Field(DiskLayout.SIMPLE, description="simple: boot partitions and one root file system.")


class HostSettings(Section):
    """The settings of a machine. Under `defaults` they hold for every node; a node may override each."""

    os: Line = Field("debian-12", description="The operating system: a profile's id (see `kubeseed profiles`).")
    timezone: TimeZone = Field("Asia/Shanghai", description="Time zone of the tz database.")
    ntp: tuple[Host, ...] = Field(("ntp.aliyun.com",), description="Time servers; empty keeps those of the OS.")
    users: tuple[User, ...] = Field((), description="Accounts to make.")
    disable_firewall: Flag = Field(True, description="Switch off firewalld and ufw.")
    upgrade_kernel: Flag = Field(False, description="Install the newest kernel of the OS at first boot.")
    hosts: MapOf[AddressText, tuple[Host, ...]] = Field(
        EMPTY, description="Further lines of /etc/hosts: an address and its names."
    )
    network: NodeNetwork = Field(NodeNetwork(), description="The node's own network.")
    disk: Disk = Field(Disk(), description="The disk that an installer writes to.")
    check_resources: Flag = Field(
        True, description="Stop on a machine that is too small: master 2 CPUs and 2 GiB, worker 2 CPUs and 4 GiB."
    )
    check_unique_ids: Flag = Field(
        True,
        description="Stop on a machine whose product_uuid or MAC another node has enrolled with, as kubeadm asks for.",
    )
