"""Package sources: the spec's, else the preset's; verified by a key, always."""

import re
from typing import Any

import pytest

from generator.mirror import load_mirrors
from generator.plan.packages import plan_package_names, plan_sources
from generator.profile import Profile, load_profiles
from generator.render.packages import render_packages
from tests.example import example, text

PROFILES, MIRRORS = load_profiles(), load_mirrors()
KEYRINGS = "/etc/apt/keyrings"
KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQINBGVj\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----"


def files(system: str, version: str = "1.30.5", **packages: Any) -> dict[str, str]:
    cluster = example(packages=packages, kubernetes={"version": version})
    profile = PROFILES[system]
    sources = plan_sources(cluster, profile, MIRRORS[cluster.packages.preset])
    rendered = render_packages(profile.package_manager, sources, plan_package_names(profile))
    return {artefact.path: text(artefact) for artefact in rendered}


def listed(system: str, **packages: Any) -> list[str]:
    said = files(system, **packages)
    return [line for name in ("packages.apt", "packages.rpm") for line in said.get(name, "").splitlines()]


def test_upstream_for_apt() -> None:
    assert listed("debian-12") == [
        "# Written by kubeseed.",
        f"deb [signed-by={KEYRINGS}/kubeseed-kubernetes.asc] https://pkgs.k8s.io/core:/stable:/v1.30/deb/ /",
        f"deb [signed-by={KEYRINGS}/kubeseed-engine.asc] https://download.docker.com/linux/debian bookworm stable",
    ]


def test_upstream_for_dnf() -> None:
    lines = listed("rocky-9")
    assert "baseurl=https://pkgs.k8s.io/core:/stable:/v1.30/rpm/" in lines
    assert "gpgkey=file:///etc/pki/rpm-gpg/kubeseed-kubernetes.asc" in lines
    assert "[kubeseed-base-1]" not in lines


@pytest.mark.parametrize("preset", MIRRORS)
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.id)
def test_nothing_is_installed_unverified(profile: Profile, preset: str) -> None:
    said = files(profile.id, preset=preset)
    assert not re.search(r"trusted=yes|allow-insecure|gpgcheck=(?!1)|gpgcheck=0", "".join(said.values()))
    for line in said.get("packages.apt", "").splitlines()[1:]:
        assert "signed-by=/" in line
    assert said.get("packages.rpm", "").count("gpgcheck=1") == said.get("packages.rpm", "").count("baseurl=")
    for path, url in said.items():
        assert not path.endswith(".url") or url.startswith("https://")


@pytest.mark.parametrize("preset", MIRRORS)
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.id)
def test_every_word_of_a_preset_is_filled_in(profile: Profile, preset: str) -> None:
    assert not re.search(r"[{}]", "".join(files(profile.id, preset=preset).values()))


@pytest.mark.parametrize(
    ("system", "words"),
    [
        ("debian-12", "https://mirrors.tuna.tsinghua.edu.cn/debian-security bookworm-security main"),
        ("ubuntu-24.04", "https://mirrors.tuna.tsinghua.edu.cn/ubuntu-ports noble main restricted universe multiverse"),
        ("rocky-9", "baseurl=https://mirrors.aliyun.com/rockylinux/9/BaseOS/$basearch/os/"),
    ],
)
def test_the_china_preset_replaces_the_distributions_own_sources_too(system: str, words: str) -> None:
    assert any(line.endswith(words) for line in listed(system, preset="china"))
    assert not any(line.endswith(words) for line in listed(system))


def test_the_distributions_own_sources_stand_aside_only_where_others_take_their_place() -> None:
    assert "packages.replace" not in files("debian-12")
    assert "packages.replace" in files("debian-12", preset="china")
    assert "packages.replace" in files("rocky-9", base={"yum": "https://m.example/os"})
    assert "packages.replace" not in files("debian-12", kubernetes={"apt": "https://m.example/k8s"})


def test_kubernetes_is_upgraded_by_kubeadm_only() -> None:
    said = files("rocky-9")["packages.rpm"]
    assert said.count("exclude=") == 1
    assert "exclude=kubelet kubeadm kubectl" in said.partition("[kubeseed-kubernetes]")[2].partition("[")[0]


def test_a_key_of_the_spec_travels_with_the_files() -> None:
    said = files("debian-12", kubernetes={"key": KEY})
    assert said["keys/kubernetes.asc"] == KEY + "\n"
    assert "keys/kubernetes.url" not in said


def test_without_a_key_the_node_is_told_where_to_fetch_it() -> None:
    said = files("debian-12")
    assert said["keys/kubernetes.url"] == "https://pkgs.k8s.io/core:/stable:/v1.30/deb/Release.key\n"
    assert said["keys/engine.url"] == "https://download.docker.com/linux/debian/gpg\n"


def test_a_mirror_has_the_key_where_its_model_has_it() -> None:
    said = files(
        "debian-12", kubernetes={"apt": "https://m.example/k8s/deb/"}, engine={"apt": "https://m.example/docker"}
    )
    assert said["keys/kubernetes.url"] == "https://m.example/k8s/deb/Release.key\n"
    assert said["keys/engine.url"] == "https://m.example/docker/gpg\n"
    own = files("debian-12", kubernetes={"apt": "https://m.example/k8s", "keyUrl": "https://m.example/the.key"})
    assert own["keys/kubernetes.url"] == "https://m.example/the.key\n"


def test_no_key_is_ever_taken_from_plain_http() -> None:
    said = files("debian-12", kubernetes={"apt": "http://192.168.77.2/repo"})
    assert "keys/kubernetes.url" not in said
    # What the machine trusts by itself decides: an unsigned or strangely signed repository is refused by apt.
    assert "deb http://192.168.77.2/repo /" in said["packages.apt"].splitlines()


def test_a_flat_repository_has_no_components() -> None:
    assert "deb https://m.example/all /" in [re.sub(r"\[.*\] ", "", line) for line in listed(
        "debian-12", engine={"apt": "https://m.example/all", "aptSuite": "/"})]  # fmt: skip


def test_kubernetes_before_1_24_has_no_repository_of_its_own() -> None:
    assert "pkgs.k8s.io" not in files("debian-12", version="1.23.17")["packages.apt"]
    assert (
        "https://m.example/old"
        in files("debian-12", version="1.23.17", kubernetes={"apt": "https://m.example/old"})["packages.apt"]
    )


@pytest.mark.parametrize(
    "given",
    ["", "no key", KEY.replace("PUBLIC", "PRIVATE"), KEY + "\n" + KEY, KEY.replace("-----END", "----END")],
)
def test_what_is_no_public_key_is_refused_unquoted(given: str) -> None:
    with pytest.raises(ValueError, match="not one armoured OpenPGP public key") as refused:
        example(packages={"kubernetes": {"key": given}})
    assert "mQINBGVj" not in str(refused.value)


def test_package_names_are_the_releases_own() -> None:
    assert "nginx nginx libnginx-mod-stream" in files("debian-12")["packages.names"].splitlines()
    assert "containerd containerd.io" in files("rocky-9")["packages.names"].splitlines()
