"""packages.preset: china brings mirrors and images inside China; each piece can be overridden."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from generator.mirror import load_mirrors
from generator.parse import load_cluster
from generator.plan.packages import plan_sources
from generator.profile import PackageManager, load_profiles
from generator.spec import shape
from tests.example import NODES, example

PROFILES, MIRRORS = load_profiles(), load_mirrors()
SPEC: dict[str, Any] = {
    "metadata": {"name": "prod"},
    "coordinator": {"url": "https://192.168.77.2:8443"},
    "nodes": NODES,
}


def loaded(tmp_path: Path, **sections: Any) -> Any:
    spec = tmp_path / "cluster.yaml"
    spec.write_text(yaml.safe_dump({**SPEC, **sections}))
    return load_cluster(spec)[0]


def test_upstream_is_kubernetes_own_registry(tmp_path: Path) -> None:
    assert loaded(tmp_path).kubernetes.image_repository == "registry.k8s.io"


def test_china_brings_images(tmp_path: Path) -> None:
    cluster = loaded(tmp_path, packages={"preset": "china"})
    assert cluster.kubernetes.image_repository == "registry.aliyuncs.com/kubeadm-ha"
    assert cluster.network.flannel.image.startswith("registry.aliyuncs.com/kubeadm-ha/")
    assert cluster.network.flannel.cni_image.startswith("registry.aliyuncs.com/kubeadm-ha/")


def test_what_the_spec_says_wins(tmp_path: Path) -> None:
    cluster = loaded(
        tmp_path,
        packages={"preset": "china"},
        kubernetes={"imageRepository": "registry.k8s.io"},
        network={"flannel": {"image": "r.example/flannel:1"}},
    )
    assert cluster.kubernetes.image_repository == "registry.k8s.io"
    assert cluster.network.flannel.image == "r.example/flannel:1"
    assert cluster.network.flannel.cni_image.startswith("registry.aliyuncs.com/")


@pytest.mark.parametrize("preset", MIRRORS)
def test_a_presets_images_have_a_place_in_the_spec(preset: str) -> None:
    images = MIRRORS[preset].images
    for path, keys in ((("kubernetes",), images.kubernetes), (("network", "flannel"), images.flannel)):
        for key in keys:
            assert shape.at((*path, key)) is not None


@pytest.mark.parametrize("preset", MIRRORS)
@pytest.mark.parametrize("os", PROFILES)
def test_every_release_gets_kubernetes_and_an_engine_from_a_verified_source(os: str, preset: str) -> None:
    cluster = example(packages={"preset": preset})
    sources = {source.name: source for source in plan_sources(cluster, PROFILES[os], MIRRORS[preset])}
    for name in ("kubernetes", "engine"):
        assert sources[name].key
        assert sources[name].url.startswith("https://")
    assert all(source.keyring for source in sources.values())
    assert "{" not in "".join(source.url + "".join(source.suites) for source in sources.values())
    assert ("epel" in sources) == (os in {"rhel-7", "centos-7"})


def test_epel_of_the_site_reaches_every_rpm_system() -> None:
    cluster = example(packages={"epel": {"yum": "https://m.example/epel/9", "keyUrl": "https://m.example/key"}})
    for profile in PROFILES.values():
        sources = {source.name: source for source in plan_sources(cluster, profile, MIRRORS["upstream"])}
        assert ("epel" in sources) == (profile.package_manager is not PackageManager.APT)
