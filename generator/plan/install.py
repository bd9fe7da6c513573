"""Knows what a distribution's installer is told beside the seed: disks, package sources, time, what to install."""

from collections.abc import Iterable
from dataclasses import dataclass

from generator.plan.packages import Source
from generator.profile import Installer, Kickstart, PackageManager, Profile
from generator.spec.cluster import Cluster
from generator.spec.disk import DiskLayout
from generator.spec.host import Firewall
from generator.spec.node import Node
from generator.value import Arch

# What rpm and dnf call the architectures.
_RPM_ARCHES = {Arch.AMD64: "x86_64", Arch.ARM64: "aarch64"}
# What a node needs before it can fetch anything, beside what the installers' smallest choice brings.
_NEEDED = ("openssl", "sudo", "tar")


@dataclass(frozen=True, slots=True)
class SystemDisk:
    """The disk of the system: a path below /dev, or empty for the first there is; `mirror` with layout raid1."""

    device: str
    layout: DiskLayout
    mirror: str


@dataclass(frozen=True, slots=True)
class Install:
    """What one machine is installed with. `mirrors` are URLs of packages, in place of the distribution's `archive`.

    `reports_to` is the coordinator's plain HTTP address where the installer was booted by it, else empty.
    """

    title: str
    installer: Installer
    kickstart: Kickstart | None
    suite: str
    arch: Arch
    timezone: str
    ntp: tuple[str, ...]
    proxy: str
    archive: str
    mirrors: tuple[str, ...]
    disk: SystemDisk
    packages: tuple[str, ...]
    firewall_off: bool
    reports_to: str = ""


def plan_install(cluster: Cluster, node: Node, profile: Profile, sources: Iterable[Source]) -> Install:
    """The installation of a node; `sources` are those of its release."""
    return Install(
        title=f"Node {node.name} of cluster {cluster.metadata.name}, {profile.name}",
        installer=profile.installer,
        kickstart=profile.kickstart,
        suite=profile.codename,
        arch=node.arch,
        timezone=node.timezone,
        ntp=node.ntp,
        proxy=cluster.packages.proxy.http or cluster.packages.proxy.https or "",
        archive=profile.archive.get(node.arch, ""),
        mirrors=tuple(_mirrors(node, profile, sources)),
        disk=SystemDisk(node.disk.device or "", node.disk.layout, node.disk.mirror or ""),
        packages=tuple(sorted({*_NEEDED, *profile.packages.chrony})),
        firewall_off=node.disable_firewall or node.firewall is Firewall.MANAGED,
    )


def _mirrors(node: Node, profile: Profile, sources: Iterable[Source]) -> Iterable[str]:
    """The base sources that hold this architecture, their variables filled in; installers know none."""
    for source in sources:
        if not source.name.startswith("base-") or (source.arches and node.arch.value not in source.arches):
            continue
        if profile.package_manager is PackageManager.APT:
            yield source.url
        else:
            yield source.url.replace("$basearch", _RPM_ARCHES[node.arch]).replace("$releasever", profile.os_version)
