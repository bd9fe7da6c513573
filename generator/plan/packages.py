"""Knows where a node installs software from, and which key verifies it. No source is ever used without verification."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from generator.mirror import Distribution, Mirror, Repository, is_packaged
from generator.profile import PackageManager, Profile
from generator.spec.cluster import Cluster
from generator.spec.packages import PackageSource
from generator.value import KubeVersion

# An upgrade of these is kubeadm's affair.
HELD = ("kubelet", "kubeadm", "kubectl")
_BASE = "base-"
_KEY_FOLDERS = {
    PackageManager.APT: "/etc/apt/keyrings",
    PackageManager.YUM: "/etc/pki/rpm-gpg",
    PackageManager.DNF: "/etc/pki/rpm-gpg",
}


@dataclass(frozen=True, slots=True)
class Key:
    """A key that the node gets: its text, or the https URL where the node fetches it."""

    text: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One repository as a node is told of it. `keyring` is a path on the node; empty is what the OS trusts anyway.

    `held` packages are never upgraded along with the rest of the system.
    """

    name: str
    url: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    arches: tuple[str, ...]
    keyring: str
    key: Key | None
    held: tuple[str, ...]

    @property
    def replaces(self) -> bool:
        """Whether it stands for the distribution's own sources, which are then to stand aside."""
        return self.name.startswith(_BASE)


def plan_sources(cluster: Cluster, profile: Profile, mirror: Mirror) -> tuple[Source, ...]:
    """The package sources of every node of this release: the spec's own, else the preset's, else the OS's."""
    return tuple(_sources(cluster, profile, mirror))


def plan_package_names(profile: Profile) -> Mapping[str, tuple[str, ...]]:
    """What each group of packages is called in this release."""
    packages = profile.packages
    return {
        "base": packages.base,
        "chrony": packages.chrony,
        "nginx": packages.nginx,
        "haproxy": packages.haproxy,
        "keepalived": packages.keepalived,
        "containerd": packages.containerd,
        "docker": packages.docker,
    }


def _sources(cluster: Cluster, profile: Profile, mirror: Mirror) -> Iterator[Source]:
    packages, version = cluster.packages, cluster.kubernetes.version
    apt = profile.package_manager is PackageManager.APT
    words = _words(profile, version)
    yield from _base_sources(packages.base, profile, mirror, words)
    for name, own, upstream, held in (
        ("kubernetes", packages.kubernetes, mirror.kubernetes, is_packaged(version)),
        ("engine", packages.engine, mirror.engine, True),
    ):
        preset = _filled(upstream.apt if apt else upstream.yum, words)
        if _url(own, profile) or held:
            yield _source(name, _chosen(own, profile, preset), own, profile, keyring="")
    if not apt and (packages.epel.yum or profile.epel):
        yield _source("epel", _chosen(packages.epel, profile, _filled(mirror.epel, words)), packages.epel, profile, "")


def _base_sources(own: PackageSource, profile: Profile, mirror: Mirror, words: Mapping[str, str]) -> Iterator[Source]:
    """The distribution's own packages, signed by the distribution whichever mirror has them."""
    known = mirror.distributions.get(profile.id) or mirror.distributions.get(profile.os_id, Distribution())
    plain = Repository(url="", suites=(profile.codename,), components=known.components)
    mirrors = (
        (_chosen(own, profile, plain),) if _url(own, profile) else tuple(_filled(one, words) for one in known.mirrors)
    )
    for number, repository in enumerate(mirrors, start=1):
        complete = repository.model_copy(update={"components": repository.components or known.components})
        yield _source(f"{_BASE}{number}", complete, own, profile, known.keyring.format_map(words))


def _source(name: str, repository: Repository, own: PackageSource, profile: Profile, keyring: str) -> Source:
    key = Key(text=own.key) if own.key else Key(url=repository.key) if repository.key else None
    return Source(
        name=name,
        url=repository.url,
        suites=repository.suites,
        components=repository.components,
        arches=tuple(arch.value for arch in repository.arches),
        keyring=f"{_KEY_FOLDERS[profile.package_manager]}/kubeseed-{name}.asc" if key else keyring,
        key=key,
        held=HELD if name == "kubernetes" else (),
    )


def _url(own: PackageSource, profile: Profile) -> str | None:
    return own.apt if profile.package_manager is PackageManager.APT else own.yum


def _chosen(own: PackageSource, profile: Profile, preset: Repository) -> Repository:
    """What the spec says, the rest as in the preset: a mirror usually has its model's suites, and its key beside it."""
    url = _url(own, profile)
    return Repository(
        url=url or preset.url,
        suites=(own.apt_suite,) if own.apt_suite else preset.suites,
        components=own.apt_components or preset.components,
        arches=() if url else preset.arches,
        key=own.key_url or (_key_beside(url, preset) if url else preset.key),
    )


def _key_beside(url: str, preset: Repository) -> str | None:
    """The key at the same place below `url` as the preset's; a key from plain http would prove nothing."""
    if not preset.key or not url.startswith("https://"):
        return None
    below = preset.key.removeprefix(preset.url.rstrip("/"))
    return preset.key if below == preset.key else url.rstrip("/") + below


def _words(profile: Profile, version: KubeVersion) -> Mapping[str, str]:
    return {
        "release": version.release,
        "distribution": profile.engine_repository.distribution,
        "suite": profile.engine_repository.suite,
        "codename": profile.codename,
        "version": profile.os_version,
        "epel": profile.epel or profile.os_version,
    }


def _filled(repository: Repository, words: Mapping[str, str]) -> Repository:
    return Repository(
        url=repository.url.format_map(words),
        suites=tuple(suite.format_map(words) for suite in repository.suites),
        components=repository.components,
        arches=repository.arches,
        key=repository.key.format_map(words) if repository.key else None,
    )
