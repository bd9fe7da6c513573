"""Knows the operating systems a node may run: one YAML file of plain data per release under profiles/os/."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from generator.errors import LocalError
from generator.resource import data_root
from generator.value import Arch


class Family(StrEnum):
    """The family decides the package format and the conventions of configuration files."""

    DEBIAN = "debian"
    RHEL = "rhel"


class PackageManager(StrEnum):
    """The program that installs packages."""

    APT = "apt"
    DNF = "dnf"
    YUM = "yum"


class Installer(StrEnum):
    """What the distribution's installer reads for an unattended installation."""

    PRESEED = "preseed"
    AUTOINSTALL = "autoinstall"
    KICKSTART = "kickstart"


class Feature(StrEnum):
    """What some releases can and others cannot."""

    NFTABLES_PROXY = "nftables-proxy"
    CGROUP_V2 = "cgroup-v2"


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


class Chrony(_Data):
    """The time service of the release."""

    service: str = Field(description="Name of the systemd service.")
    config: str = Field(description="Path of its configuration file.")


class EngineRepository(_Data):
    """Where Docker's own repository keeps packages for the release: <base>/linux/<distribution>."""

    distribution: str = Field(description="Folder of the distribution in Docker's repository.")
    suite: str = Field(description="apt suite, or $releasever for yum and dnf.")


class KickstartSyntax(StrEnum):
    """pykickstart's names of the syntaxes that the RHEL family's installers read."""

    RHEL7 = "RHEL7"
    RHEL8 = "RHEL8"
    RHEL9 = "RHEL9"


class Kickstart(_Data):
    """How the release's installer is told what to do."""

    syntax: KickstartSyntax
    environment: str = Field(description="The smallest choice of packages, as %packages names it.")


class ProfilePackages(_Data):
    """Names of packages in this release."""

    base: tuple[str, ...] = Field(description="What every node gets.")
    chrony: tuple[str, ...] = Field(description="The time service.")
    nginx: tuple[str, ...] = Field(description="nginx with its stream module.")
    haproxy: tuple[str, ...] = Field(description="haproxy.")
    keepalived: tuple[str, ...] = Field(description="keepalived.")
    containerd: tuple[str, ...] = Field(description="containerd, from Docker's repository.")
    docker: tuple[str, ...] = Field(description="Docker Engine, from Docker's repository.")
    kernel: Mapping[Arch, tuple[str, ...]] = Field(description="The newest kernel, by architecture.")


class Profile(_Data):
    """One release of an operating system. Data only: what to do with it is decided by `generator.plan`."""

    id: str = Field(description="Name of the file, and what a spec writes as `os`.")
    name: str = Field(description="What people call it.")
    family: Family
    os_id: str = Field(description="ID of /etc/os-release.")
    os_version: str = Field(description="Prefix of VERSION_ID of /etc/os-release.")
    codename: str = Field("", description="VERSION_CODENAME of /etc/os-release, where apt needs it.")
    arches: tuple[Arch, ...]
    package_manager: PackageManager
    installer: Installer
    kickstart: Kickstart | None = Field(None, description="With installer kickstart.")
    archive: Mapping[Arch, str] = Field(
        default_factory=dict, description="Where the distribution keeps its packages, by architecture; with preseed."
    )
    cloud_init: str = Field(description="Oldest version of cloud-init that the release's images come with.")
    selinux: bool = Field(False, description="SELinux is enforcing by default.")
    firewall: str = Field("", description="Name of the firewall's systemd service, if the release has one.")
    sudo_group: str = Field(description="Group whose members may use sudo.")
    chrony: Chrony
    engine_repository: EngineRepository
    epel: str = Field("", description="Release of EPEL that some of the packages come from; empty where none do.")
    kernel: str = Field(description="The kernel that the release came with: major and minor version.")
    containerd: str = Field(description="The newest containerd that Docker's repository holds for the release.")
    packages: ProfilePackages
    features: frozenset[Feature] = frozenset()

    @property
    def cloud_init_version(self) -> tuple[int, ...]:
        """`cloudInit` as numbers that compare."""
        return _numbers(self.cloud_init)

    @property
    def kernel_version(self) -> tuple[int, ...]:
        """`kernel` as numbers that compare."""
        return _numbers(self.kernel)

    @property
    def containerd_version(self) -> tuple[int, ...]:
        """`containerd` as numbers that compare."""
        return _numbers(self.containerd)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def load_profile(path: Path) -> Profile:
    """One profile file; LocalError when it is not what a profile has to be."""
    try:
        profile = Profile.model_validate(yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise LocalError.because(f"this profile cannot be used: {error}", file=str(path)) from error
    if profile.id != path.stem:
        raise LocalError.because(f"the id is {profile.id!r}, but the file is called {path.stem!r}", file=str(path))
    return profile


def load_profiles(folder: Path | None = None) -> Mapping[str, Profile]:
    """All profiles of `folder` (the ones kubeseed comes with, when None) by id, in the order of their ids."""
    files = sorted((folder or data_root() / "profiles" / "os").glob("*.yaml"))
    if not files:
        raise LocalError.because("no profiles found; the installation is incomplete", file=str(folder or data_root()))
    return MappingProxyType({profile.id: profile for profile in map(load_profile, files)})
