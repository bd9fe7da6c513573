"""Profiles: plain data that is complete, and refused when it is not."""

from pathlib import Path

import pytest

from generator.check import check_cluster
from generator.errors import LocalError
from generator.parse import parse_cluster
from generator.profile import Family, Installer, PackageManager, Profile, load_profile, load_profiles
from generator.resource import data_root
from generator.value import Arch

PROFILES = load_profiles()
FOLDER = data_root() / "profiles" / "os"


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.id)
def test_a_profile_is_complete(profile: Profile) -> None:
    packages = profile.packages
    assert set(packages.kernel) == set(profile.arches)
    assert {"openssl", "jq", "socat", "wget"} <= set(packages.base)
    assert list(packages.base) == sorted(set(packages.base))
    assert all(
        (packages.chrony, packages.nginx, packages.haproxy, packages.keepalived, packages.containerd, packages.docker)
    )
    assert profile.chrony.config.startswith("/etc/")
    assert profile.id.startswith(profile.os_id.lower())
    assert profile.cloud_init_version
    assert profile.kernel_version >= (3, 10)
    assert (profile.kickstart is not None) == (profile.installer is Installer.KICKSTART)
    assert (set(profile.archive) == set(profile.arches)) == (profile.installer is Installer.PRESEED)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.id)
def test_family_decides_the_conventions(profile: Profile) -> None:
    debian = profile.family is Family.DEBIAN
    assert (profile.package_manager is PackageManager.APT) == debian
    assert (profile.installer is not Installer.KICKSTART) == debian
    assert bool(profile.codename) == debian
    assert profile.sudo_group == ("sudo" if debian else "wheel")


def test_the_matrix_is_there() -> None:
    """What kubeadm-ha runs on, and what has come since."""
    assert set(PROFILES) >= {
        "rhel-7", "centos-7", "centos-8", "rocky-8", "rocky-9", "almalinux-9",
        "debian-9", "debian-11", "debian-12", "debian-13",
        "ubuntu-16.04", "ubuntu-20.04", "ubuntu-22.04", "ubuntu-24.04",
        "openeuler-22.03", "openeuler-24.03", "anolis-8", "kylin-v10",
    }  # fmt: skip
    assert all(set(profile.arches) == {Arch.AMD64, Arch.ARM64} for profile in PROFILES.values())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("id: debian-12", "id: debian-99", "the id is 'debian-99', but the file is called 'debian-12'"),
        ("family: debian", "family: slackware", "family"),
        ("osId: debian", "", "osId"),
        ("name:", "nmae:", "nmae"),
        ("packages:", "packages: [", "cannot be used"),
    ],
)
def test_a_wrong_profile_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = (FOLDER / "debian-12.yaml").read_text()
    assert old in text
    wrong = tmp_path / "debian-12.yaml"
    wrong.write_text(text.replace(old, new, 1))
    with pytest.raises(LocalError, match=words):
        load_profile(wrong)


def test_an_installation_without_profiles_says_so(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="no profiles found"):
        load_profiles(tmp_path)


def test_an_architecture_without_a_profile_is_refused() -> None:
    spec = """\
metadata: {name: prod}
coordinator: {url: https://192.168.77.2:8443}
etcd: {topology: stacked}
nodes:
- {name: m1, roles: [master, worker], address: 192.168.77.11, arch: arm64}
"""
    cluster, _ = parse_cluster(spec, PROFILES)
    narrow = PROFILES["debian-12"].model_copy(update={"arches": (Arch.AMD64,)})
    found = [finding for finding in check_cluster(cluster, {"debian-12": narrow}) if finding.path[-1] == "arch"]
    assert [(finding.path, finding.hint) for finding in found] == [
        (("nodes", 0, "arch"), "Debian 12 (bookworm) supports amd64")
    ]
