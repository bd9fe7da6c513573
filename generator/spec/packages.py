"""Knows section `packages`: where nodes install software from."""

from enum import StrEnum

from pydantic import Field

from generator.spec.field import Line, Section, Url

NO_PROXY = ("127.0.0.1", "localhost", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")


class PackagePreset(StrEnum):
    """Named sets of package sources."""

    UPSTREAM = "upstream"
    CHINA = "china"


class PackageSource(Section):
    """One source of packages, by package manager."""

    apt: Url | None = Field(None, description="URL of the repository for apt; null is the preset's.")
    yum: Url | None = Field(None, description="URL of the repository for yum and dnf; null is the preset's.")


class Proxy(Section):
    """The HTTP proxy for package downloads and the engine's image pulls."""

    http: Url | None = Field(None, description="Proxy for http URLs.")
    https: Url | None = Field(None, description="Proxy for https URLs.")
    no_proxy: tuple[Line, ...] = Field(NO_PROXY, description="Hosts, domains and networks reached directly.")


class Packages(Section):
    """Where nodes install software from."""

    preset: PackagePreset = Field(
        PackagePreset.UPSTREAM, description="upstream: the projects' own repositories. china: mirrors inside China."
    )
    kubernetes: PackageSource = Field(PackageSource(), description="kubeadm, kubelet, kubectl.")
    engine: PackageSource = Field(PackageSource(), description="containerd or docker.")
    base: PackageSource = Field(PackageSource(), description="The operating system's own packages.")
    proxy: Proxy = Field(Proxy(), description="The HTTP proxy of the nodes.")
