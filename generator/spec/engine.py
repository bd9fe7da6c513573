"""Knows section `engine`: the container engine."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from generator.spec.field import AbsolutePath, Flag, Integer, Line, MapOf, Section, Url, matching
from generator.spec.frozenmap import FrozenMap

REGISTRIES: Mapping[str, tuple[str, ...]] = FrozenMap({"docker.io": ("https://registry-1.docker.io",)})
_DATA_DIRS = {"containerd": "/var/lib/containerd", "docker": "/var/lib/docker"}


LogSize = Annotated[str, matching(r"[1-9][0-9]{0,8}[kmg]", "a size of a log file", "10m")]


class EngineName(StrEnum):
    """The container engine; docker comes with cri-dockerd."""

    CONTAINERD = "containerd"
    DOCKER = "docker"


class Engine(Section):
    """The container engine."""

    name: EngineName = Field(EngineName.CONTAINERD, description="The engine; docker comes with cri-dockerd.")
    data_dir: AbsolutePath | None = Field(
        None, description="Images and containers on the node; null is /var/lib/containerd or /var/lib/docker."
    )
    registries: MapOf[Line, tuple[Url, ...]] = Field(
        REGISTRIES, description="Registries and the URLs that serve them, tried in order: mirrors first."
    )
    insecure_registries: tuple[Line, ...] = Field(
        (),
        description="Registries (host or host:port) whose certificate is not verified; best left empty.",
    )
    log_max_size: LogSize = Field("10m", description="Size at which a container's log is rotated (k, m, g).")
    log_max_files: Integer = Field(5, ge=2, le=1000, description="Number of log files kept for a container.")
    restrict_oom_score_adj: Flag = Field(
        False,
        description="Never lower a container's oom_score_adj below the engine's own (containerd's key of that name), "
        "for machines without CAP_SYS_RESOURCE.",
    )
    images: AbsolutePath | None = Field(
        None,
        description="Folder on the node with image archives (*.tar) to import before any pull; null imports none.",
    )

    @property
    def data_directory(self) -> str:
        """`dataDir`, or the engine's own place."""
        return self.data_dir or _DATA_DIRS[self.name]
