"""Knows section `engine`: the container engine."""

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from generator.spec.field import (
    AbsolutePath,
    Count,
    Flag,
    Integer,
    Interface,
    Line,
    MapOf,
    Parsed,
    Section,
    Url,
    matching,
)
from generator.spec.frozenmap import FrozenMap
from generator.value import InvalidValueError

REGISTRIES: Mapping[str, tuple[str, ...]] = FrozenMap({"docker.io": ("https://registry-1.docker.io",)})
_DATA_DIRS = {"containerd": "/var/lib/containerd", "docker": "/var/lib/docker"}


LogSize = Annotated[str, matching(r"[1-9][0-9]{0,8}[kmg]", "a size of a log file", "10m")]


def _parse_toml(text: str) -> str:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidValueError(
            f"this is not TOML: {error}", "paste tables as containerd's config.toml has them"
        ) from None
    return text


Toml = Annotated[str, Parsed(_parse_toml, what="TOML")]


Registry = Annotated[str, matching(r"_default|[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?", "a registry", "docker.io")]
RegistryOrNetwork = Annotated[
    str, matching(r"[A-Za-z0-9\[][A-Za-z0-9.:\]-]*(/[0-9]{1,3})?", "a registry or a network", "registry.local:5000")
]


class LogLevel(StrEnum):
    """Levels of logging that containerd and docker know."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    FATAL = "fatal"


class EngineName(StrEnum):
    """The container engine; docker comes with cri-dockerd."""

    CONTAINERD = "containerd"
    DOCKER = "docker"


class Containerd(Section):
    """Settings of containerd alone; the names are those of its config.toml."""

    state_dir: AbsolutePath = Field("/run/containerd", description="containerd's `state`.")
    oom_score: Integer = Field(-999, ge=-1000, le=1000, description="oom_score_adj of containerd itself.")
    log_level: LogLevel = Field(LogLevel.INFO, description="What containerd logs.")
    metrics_address: Line | None = Field(None, description="host:port of containerd's metrics; null serves none.")
    metrics_grpc_histogram: Flag = Field(False, description="Measure the time of gRPC calls too.")
    grpc_max_recv_message_size: Count = Field(16777216, description="Largest gRPC message received, in bytes.")
    grpc_max_send_message_size: Count = Field(16777216, description="Largest gRPC message sent, in bytes.")
    max_container_log_line_size: Integer = Field(
        -1, ge=-1, description="Longest line of a container's log in bytes before it is split; -1 never splits."
    )
    snapshotter: Line = Field("overlayfs", description="The snapshotter of images.")
    default_runtime: Line = Field("runc", description="The runtime of pods that ask for no RuntimeClass.")
    extra_config: Toml | None = Field(
        None, description="Further TOML in containerd's format (version 2), laid over kubeseed's own table by table."
    )


class Docker(Section):
    """Settings of docker alone; the names are those of its daemon.json."""

    bip: Interface = Field("172.17.0.1/16", description="Address and network of docker's own bridge.")
    log_driver: Line = Field("json-file", description="The log driver of containers.")
    log_level: LogLevel = Field(LogLevel.WARN, description="What docker logs.")
    max_concurrent_downloads: Integer = Field(10, ge=1, description="Image layers pulled at once.")


class Engine(Section):
    """The container engine."""

    name: EngineName = Field(EngineName.CONTAINERD, description="The engine; docker comes with cri-dockerd.")
    data_dir: AbsolutePath | None = Field(
        None, description="Images and containers on the node; null is /var/lib/containerd or /var/lib/docker."
    )
    registries: MapOf[Registry, tuple[Url, ...]] = Field(
        REGISTRIES, description="Registries and the URLs that serve them, tried in order: mirrors first."
    )
    insecure_registries: tuple[RegistryOrNetwork, ...] = Field(
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

    version: Line | None = Field(
        None, description="Version of the engine's package, as the package manager writes it; null is the newest."
    )
    containerd: Containerd = Field(Containerd(), description="Settings of containerd alone.")
    docker: Docker = Field(Docker(), description="Settings of docker alone.")

    @property
    def data_directory(self) -> str:
        """`dataDir`, or the engine's own place."""
        return self.data_dir or _DATA_DIRS[self.name]
