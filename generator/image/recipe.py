"""Knows what goes into an image of a release: one YAML file of plain data per release under profiles/image/."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from generator.errors import LocalError, UsageError
from generator.profile import Profile, load_profiles
from generator.resource import data_root
from generator.value import Arch


class _Recipe(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    suite: str
    components: tuple[str, ...]
    kernel: Mapping[Arch, str]
    boot: Mapping[Arch, tuple[str, ...]]
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides an image's content but the state of the mirrors: `epoch` is SOURCE_DATE_EPOCH."""

    profile: str
    arch: Arch
    suite: str
    components: tuple[str, ...]
    mirrors: tuple[str, ...]
    packages: tuple[str, ...]
    kernel_arguments: str
    epoch: int

    @property
    def digest(self) -> str:
        """SHA-256 over every field; two recipes with the same digest make the same image from the same mirrors."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line adds to a profile: packages, components, mirrors (apt lines or URLs), another kernel."""

    packages: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    kernel: str = ""
    kernel_arguments: str = "console=tty0 console=ttyS0,115200n8"


def plan_image(profile_id: str, arch: Arch, wishes: Wishes, epoch: int) -> Recipe:
    """The recipe of a profile with the wishes in it; UsageError when images of this release cannot be built here."""
    data = _load(profile_id)
    if arch not in data.kernel:
        raise UsageError.because(f"{profile_id} has no image for {arch}", hint=f"it has: {', '.join(data.kernel)}")
    kernel = wishes.kernel or data.kernel[arch]
    os_packages = _operating_system(profile_id).packages
    packages = {kernel, *data.boot[arch], *data.packages, *os_packages.base, *os_packages.chrony, *wishes.packages}
    return Recipe(
        profile=profile_id,
        arch=arch,
        suite=data.suite,
        components=tuple(dict.fromkeys(data.components + wishes.components)),
        mirrors=wishes.mirrors,
        packages=tuple(sorted(packages)),
        kernel_arguments=wishes.kernel_arguments,
        epoch=epoch,
    )


def buildable() -> tuple[str, ...]:
    """The profiles that an image can be built of."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def _load(profile_id: str) -> _Recipe:
    if profile_id not in buildable():
        hint = f"images can be built of: {', '.join(buildable())}; for another system: kubeseed image add"
        raise UsageError.because(f"no image can be built of {profile_id!r}", hint=hint)
    path = _folder() / f"{profile_id}.yaml"
    try:
        return _Recipe.model_validate(yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise LocalError.because(f"this file cannot be used: {error}", file=str(path)) from error


def _operating_system(profile_id: str) -> Profile:
    return load_profiles()[profile_id]


def _folder() -> Path:
    return data_root() / "profiles" / "image"
