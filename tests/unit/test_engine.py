"""The engine's files: TOML and JSON that read back, verification on unless the spec lists the registry."""

import json
import tomllib
from typing import Any

import pytest

from generator.plan.engine import cri_socket, pause_image
from generator.render.engine import laid_over, render_engine
from generator.spec.cluster import Cluster
from generator.value import InvalidValueError
from tests.example import example, text

CRI = "io.containerd.grpc.v1.cri"


def engine(**section: Any) -> Cluster:
    return example(engine=section)


def files(cluster: Cluster) -> dict[str, str]:
    return {artefact.path: text(artefact) for artefact in render_engine(cluster)}


def toml(cluster: Cluster, path: str = "containerd.toml") -> dict[str, Any]:
    return tomllib.loads(files(cluster)[path])


def test_containerd_shares_the_kubelets_cgroups_and_pause_image() -> None:
    cri = toml(example())["plugins"][CRI]
    assert toml(example())["version"] == 2
    assert cri["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True
    assert cri["sandbox_image"] == "registry.k8s.io/pause:3.9"
    assert cri["restrict_oom_score_adj"] is False
    assert cri["registry"] == {"config_path": "/etc/containerd/certs.d"}


def test_machines_without_the_right_to_lower_scores() -> None:
    assert toml(engine(restrictOomScoreAdj=True))["plugins"][CRI]["restrict_oom_score_adj"] is True


def test_further_toml_is_laid_over_table_by_table() -> None:
    extra = f'[plugins."{CRI}"]\nenable_selinux = true\n[plugins."{CRI}".containerd.runtimes.runc]\nruntime_path = "/r"'
    cri = toml(engine(containerd={"extraConfig": extra}))["plugins"][CRI]
    assert cri["enable_selinux"] is True
    assert cri["containerd"]["runtimes"]["runc"]["runtime_path"] == "/r"
    assert cri["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True
    assert laid_over({"a": {"b": 1}, "c": 2}, {"a": 3}) == {"a": 3, "c": 2}


def test_what_is_no_toml_is_refused_when_the_spec_is_read() -> None:
    with pytest.raises((ValueError, InvalidValueError), match="not TOML"):
        engine(containerd={"extraConfig": "a = "})


def test_mirrors_are_asked_in_order_and_verified() -> None:
    cluster = engine(registries={"docker.io": ["https://a.example", "http://b.example:5000"]})
    hosts = toml(cluster, "containerd/certs.d/docker.io/hosts.toml")["host"]
    assert list(hosts) == ["https://a.example", "http://b.example:5000"]
    assert all("skip_verify" not in host for host in hosts.values())
    assert all(host["capabilities"] == ["pull", "resolve"] for host in hosts.values())


def test_only_a_registry_that_is_listed_as_insecure_goes_unverified() -> None:
    cluster = engine(registries={"docker.io": ["https://a.example"]}, insecureRegistries=["a.example", "c:5000"])
    assert toml(cluster, "containerd/certs.d/docker.io/hosts.toml")["host"]["https://a.example"]["skip_verify"] is True
    assert toml(cluster, "containerd/certs.d/c:5000/hosts.toml")["host"]["https://c:5000"]["skip_verify"] is True


def test_docker() -> None:
    cluster = engine(name="docker", registries={"docker.io": ["https://m.example", "https://registry-1.docker.io"]})
    daemon = json.loads(files(cluster)["docker.json"])
    assert daemon["exec-opts"] == ["native.cgroupdriver=systemd"]
    assert daemon["registry-mirrors"] == ["https://m.example"]
    assert "insecure-registries" not in daemon
    assert not any(path.startswith("containerd") for path in files(cluster))


@pytest.mark.parametrize(
    ("name", "version", "socket"),
    [
        ("containerd", "1.20.2", "unix:///run/containerd/containerd.sock"),
        ("containerd", "1.33.0", "unix:///run/containerd/containerd.sock"),
        ("docker", "1.23.17", "/var/run/dockershim.sock"),
        ("docker", "1.24.0", "unix:///run/cri-dockerd.sock"),
    ],
)
def test_the_kubelet_finds_the_engine(name: str, version: str, socket: str) -> None:
    cluster = example(engine={"name": name}, kubernetes={"version": version})
    assert cri_socket(cluster) == socket
    assert f"runtime-endpoint: unix://{socket.removeprefix('unix://')}\n" in files(cluster)["crictl.yaml"]


@pytest.mark.parametrize(
    ("version", "tag"),
    [
        ("1.20.2", "3.2"),
        ("1.21.0", "3.4.1"),
        ("1.24.1", "3.7"),
        ("1.30.5", "3.9"),
        ("1.31.0", "3.10"),
        ("1.34.0", "3.10.1"),
    ],
)
def test_the_pause_image_is_the_versions_own(version: str, tag: str) -> None:
    assert pause_image(example(kubernetes={"version": version})) == f"registry.k8s.io/pause:{tag}"


def test_a_proxy_is_quoted_as_systemd_reads_it() -> None:
    cluster = example(packages={"proxy": {"http": "http://p.example:3128/100%25", "noProxy": [".corp"]}})
    lines = files(cluster)["engine-proxy.conf"].splitlines()
    assert 'Environment="HTTP_PROXY=http://p.example:3128/100%%25"' in lines
    assert 'Environment="NO_PROXY=.corp"' in lines
    assert "engine-proxy.conf" not in files(example())
