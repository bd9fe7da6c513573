"""Knows Kubernetes versions and what depends on them alone."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from generator.value.invalid import InvalidValueError, quoted


class KubeadmApi(StrEnum):
    """The versions of kubeadm's configuration, `kubeadm.k8s.io/<version>`."""

    V1BETA2 = "v1beta2"
    V1BETA3 = "v1beta3"
    V1BETA4 = "v1beta4"


@dataclass(frozen=True, slots=True, order=True)
class KubeVersion:
    """A released Kubernetes version: `1.30.5`; a leading `v` is dropped."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Self:
        found = re.fullmatch(r"v?([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})", text)
        if found is None:
            raise InvalidValueError(f"{quoted(text)} is not a Kubernetes version", "write all three numbers: 1.30.5")
        return cls(*(int(number) for number in found.groups()))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def release(self) -> str:
        """The minor release as package repositories name it: `1.30`."""
        return f"{self.major}.{self.minor}"

    @property
    def kubeadm_api(self) -> KubeadmApi:
        """The newest configuration version that this version's kubeadm writes (kubeadm's own migration table)."""
        if self.minor < 22:
            return KubeadmApi.V1BETA2
        return KubeadmApi.V1BETA3 if self.minor < 31 else KubeadmApi.V1BETA4
