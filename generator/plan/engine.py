"""Knows what the container engine is told: its socket, the pause image, registries and their mirrors."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from generator.spec.cluster import Cluster
from generator.spec.engine import Engine, EngineName
from generator.value import KubeVersion

CONTAINERD_SOCKET = "unix:///run/containerd/containerd.sock"
CRI_DOCKERD_SOCKET = "unix:///run/cri-dockerd.sock"
DOCKERSHIM_SOCKET = "/var/run/dockershim.sock"
DOCKER_HUB = "https://registry-1.docker.io"

# kubeadm's constants.PauseVersion: the first minor release of Kubernetes with each tag.
_PAUSE_TAGS = (
    (34, "3.10.1"),
    (31, "3.10"),
    (26, "3.9"),
    (25, "3.8"),
    (24, "3.7"),
    (23, "3.6"),
    (22, "3.5"),
    (21, "3.4.1"),
)
_OLDEST_PAUSE_TAG = "3.2"


@dataclass(frozen=True, slots=True)
class RegistryHost:
    """A URL that serves a registry; `verify` is off only where the spec lists its host as insecure."""

    url: str
    verify: bool


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry as images name it, and who serves it: tried in order, itself last."""

    name: str
    hosts: tuple[RegistryHost, ...]


def cri_socket(cluster: Cluster) -> str:
    """Where the kubelet finds the engine. Until 1.23 the kubelet speaks to docker itself (dockershim)."""
    if cluster.engine.name is EngineName.CONTAINERD:
        return CONTAINERD_SOCKET
    return CRI_DOCKERD_SOCKET if cluster.kubernetes.version.minor >= 24 else DOCKERSHIM_SOCKET


def pause_image(cluster: Cluster) -> str:
    """The image of the container that holds a pod's namespaces."""
    kubernetes = cluster.kubernetes
    return f"{kubernetes.image_repository}/pause:{kubernetes.images.pause or _pause_tag(kubernetes.version)}"


def _pause_tag(version: KubeVersion) -> str:
    return next((tag for minor, tag in _PAUSE_TAGS if version.minor >= minor), _OLDEST_PAUSE_TAG)


def plan_registries(engine: Engine) -> tuple[Registry, ...]:
    """Every registry that needs a word: those with mirrors, and those whose certificate is not verified."""
    return tuple(_registries(engine))


def _registries(engine: Engine) -> Iterator[Registry]:
    insecure = set(engine.insecure_registries)
    for name, urls in engine.registries.items():
        yield Registry(name, tuple(RegistryHost(url, urlsplit(url).netloc not in insecure) for url in urls))
    for name in engine.insecure_registries:
        if name not in engine.registries:
            yield Registry(name, (RegistryHost(f"https://{name}", verify=False),))


def docker_mirrors(engine: Engine) -> tuple[str, ...]:
    """docker knows mirrors of Docker Hub only."""
    return tuple(url for url in engine.registries.get("docker.io", ()) if url != DOCKER_HUB)
