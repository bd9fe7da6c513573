"""Knows section `packages`: where nodes install software from."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from generator.spec.field import HttpsUrl, Line, Parsed, Section, Url, matching
from generator.value import InvalidValueError

NO_PROXY = ("127.0.0.1", "localhost", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")


NoProxy = Annotated[str, matching(r"[A-Za-z0-9.*:/\[\]_-]+", "a host, domain or network", "10.0.0.0/8 or .example.org")]


Suite = Annotated[
    str, matching(r"/|[A-Za-z0-9][A-Za-z0-9._+~-]*(/[A-Za-z0-9._+~-]+)*/?", "a suite of apt", "bookworm-updates, or /")
]
Component = Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9._+~/-]*", "a component of apt", "main")]


class PackagePreset(StrEnum):
    """Named sets of package sources."""

    UPSTREAM = "upstream"
    CHINA = "china"


_BEGIN_KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_END_KEY = "-----END PGP PUBLIC KEY BLOCK-----"


def _parse_key(text: str) -> str:
    """An armoured OpenPGP public key. What was given is never quoted: it may be a private key, pasted by mistake."""
    lines = text.strip().splitlines()
    if not lines or lines[0] != _BEGIN_KEY or lines[-1] != _END_KEY or text.count("-----BEGIN ") != 1:
        raise InvalidValueError("this is not one armoured OpenPGP public key", f"paste the text from {_BEGIN_KEY} on")
    return "\n".join(lines) + "\n"


PublicKey = Annotated[str, Parsed(_parse_key, pattern=f"^\\s*{_BEGIN_KEY}", what="OpenPGP key")]


class PackageSource(Section):
    """One source of packages, by package manager. Packages are always verified with the source's key."""

    apt: Url | None = Field(None, description="URL of the repository for apt; null is the preset's.")
    apt_suite: Suite | None = Field(
        None, description="Suite of `apt`, / for a flat repository; null is what the preset's own repository has."
    )
    apt_components: tuple[Component, ...] = Field((), description="Components of `apt`; empty is the preset's.")
    yum: Url | None = Field(None, description="URL of the repository for yum and dnf; null is the preset's.")
    key: PublicKey | None = Field(
        None, description="The armoured OpenPGP key that signs the packages; null lets nodes fetch it from `keyUrl`."
    )
    key_url: HttpsUrl | None = Field(
        None, description="Where nodes fetch the key over HTTPS, trusting the system's CAs; null is the preset's place."
    )


class Proxy(Section):
    """The HTTP proxy for package downloads and the engine's image pulls."""

    http: Url | None = Field(None, description="Proxy for http URLs.")
    https: Url | None = Field(None, description="Proxy for https URLs.")
    no_proxy: tuple[NoProxy, ...] = Field(NO_PROXY, description="Hosts, domains and networks reached directly.")


class Packages(Section):
    """Where nodes install software from."""

    preset: PackagePreset = Field(
        PackagePreset.UPSTREAM,
        description="upstream: the projects' own repositories. china: mirrors inside China for packages, and for "
        "images too where kubernetes.imageRepository and the plugin's images are not given.",
    )
    kubernetes: PackageSource = Field(PackageSource(), description="kubeadm, kubelet, kubectl.")
    engine: PackageSource = Field(PackageSource(), description="containerd or docker.")
    base: PackageSource = Field(PackageSource(), description="The operating system's own packages.")
    epel: PackageSource = Field(
        PackageSource(),
        description="Extra Packages for Enterprise Linux, for RHEL 7 and its kin; elsewhere only when `yum` is given.",
    )
    cni_version: Line | None = Field(
        None, description="Version of package kubernetes-cni, as 1.4.0; null is what the kubelet's package asks for."
    )
    proxy: Proxy = Field(Proxy(), description="The HTTP proxy of the nodes.")
