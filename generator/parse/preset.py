"""Knows what a preset of package sources says of images: it fills in what the spec leaves open."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic.alias_generators import to_snake

from generator.mirror import Mirror
from generator.spec.cluster import Cluster
from generator.spec.field import Section

S = TypeVar("S", bound=Section)


def apply_preset(cluster: Cluster, mirror: Mirror) -> Cluster:
    """The cluster with the preset's images where the spec names none; what the spec says always wins."""
    kubernetes = _filled(cluster.kubernetes, mirror.images.kubernetes)
    flannel = _filled(cluster.network.flannel, mirror.images.flannel)
    if kubernetes is cluster.kubernetes and flannel is cluster.network.flannel:
        return cluster
    network = cluster.network.model_copy(update={"flannel": flannel})
    return cluster.model_copy(update={"kubernetes": kubernetes, "network": network})


def _filled(section: S, values: Mapping[str, str]) -> S:
    open_ = {name: value for key, value in values.items() if (name := to_snake(key)) not in section.model_fields_set}
    return section.model_copy(update=open_) if open_ else section
