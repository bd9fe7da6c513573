"""Knows the presets of package sources: one YAML file of plain data per preset under profiles/mirrors/."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from generator.errors import LocalError
from generator.resource import data_root
from generator.value import Arch, KubeVersion


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Repository(_Data):
    """One repository. Texts may hold {release}, {distribution}, {suite}, {codename}, {version} and {epel}."""

    url: str
    suites: tuple[str, ...] = Field((), description="apt's suites; / is a flat repository.")
    components: tuple[str, ...] = Field((), description="apt's components.")
    arches: tuple[Arch, ...] = Field((), description="Architectures it holds; empty is all.")
    key: str | None = Field(None, description="https URL of the key that signs it.")


class Upstream(_Data):
    """One project's repositories, by package manager."""

    apt: Repository
    yum: Repository


class Distribution(_Data):
    """What is known of a distribution's own packages."""

    keyring: str = Field("", description="Its own key on the machine; may hold {version}.")
    components: tuple[str, ...] = Field((), description="apt's components.")
    mirrors: tuple[Repository, ...] = Field((), description="They replace its own sources; empty leaves those alone.")


class PresetImages(_Data):
    """Where images come from that the spec says nothing of. Keys are those of the spec's sections."""

    kubernetes: Mapping[str, str] = Field({}, description="For section kubernetes.")
    flannel: Mapping[str, str] = Field({}, description="For section network.flannel.")


class Mirror(_Data):
    """One preset."""

    id: str = Field(description="Name of the file, and what a spec writes as `packages.preset`.")
    kubernetes: Upstream
    engine: Upstream
    epel: Repository = Field(description="Extra Packages for Enterprise Linux.")
    images: PresetImages = Field(PresetImages(), description="Images, where the spec names none itself.")
    distributions: Mapping[str, Distribution] = Field(description="By a profile's id, else its osId.")


def is_packaged(version: KubeVersion) -> bool:
    """Whether pkgs.k8s.io and its mirrors hold this version; nothing older was moved there."""
    return version.minor >= 24


def load_mirrors(folder: Path | None = None) -> Mapping[str, Mirror]:
    """All presets of `folder` (the ones kubeseed comes with, when None)."""
    files = sorted((folder or data_root() / "profiles" / "mirrors").glob("*.yaml"))
    return MappingProxyType({mirror.id: mirror for mirror in map(_load, files)})


def _load(path: Path) -> Mirror:
    try:
        return Mirror.model_validate(yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise LocalError.because(f"this preset of package sources cannot be used: {error}", file=str(path)) from error
