"""A seed holds no key that the oldest cloud-init of its node's release does not know."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from generator.profile import Profile
from generator.render.cloud_init import render_user_data
from generator.render.network_config import render_network_config
from tests.installing import KINDS, PROFILES, cluster_of, planned

# The release of cloud-init whose source first has the key; what is older than 0.7.7 is said to be of 0.7.7.
USER_DATA: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(
        (
            "hostname", "fqdn", "manage_etc_hosts", "ssh_pwauth", "runcmd", "mounts",
            "users", "users.name", "users.shell", "users.groups", "users.lock_passwd", "users.ssh_authorized_keys",
            "write_files", "write_files.path", "write_files.permissions", "write_files.content",
            "fs_setup", "fs_setup.label", "fs_setup.filesystem", "fs_setup.device", "fs_setup.partition",
            "fs_setup.overwrite",
        ),
        (0, 7, 7),
    ),
    "prefer_fqdn_over_hostname": (21, 3),
}  # fmt: skip
VERSION_2 = (17, 1)
FINDS_CARDS = (22, 2)


def keys(tree: Mapping[str, Any]) -> Iterator[str]:
    for key, value in tree.items():
        yield key
        for item in value if isinstance(value, list) else ():
            yield from (f"{key}.{inner}" for inner in item if isinstance(item, dict))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.id)
def test_no_key_is_newer_than_the_release(profile: Profile, kind: str) -> None:
    seed, _, scripts = planned(cluster_of(kind, profile.id), profile)
    tree = yaml.safe_load(render_user_data(seed, scripts).data)
    assert {key for key in keys(tree) if USER_DATA[key] > profile.cloud_init_version} == set()


def test_a_newer_release_is_told_more() -> None:
    told = {}
    for os in ("rocky-9", "debian-12"):
        seed, _, scripts = planned(cluster_of("dotted", os), PROFILES[os])
        told[os] = set(yaml.safe_load(render_user_data(seed, scripts).data))
    assert told["debian-12"] - told["rocky-9"] == {"prefer_fqdn_over_hostname"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.id)
def test_the_network_has_the_version_that_the_release_reads(profile: Profile, kind: str) -> None:
    seed, _, _ = planned(cluster_of(kind, profile.id), profile)
    tree = yaml.safe_load(render_network_config(seed))
    assert tree["version"] == (2 if profile.cloud_init_version >= VERSION_2 else 1)
    for card in tree.get("ethernets", {}).values():
        known = "set-name" in card or profile.cloud_init_version >= FINDS_CARDS or "macaddress" not in card["match"]
        assert known


def test_version_1_says_what_version_2_says() -> None:
    seed, _, _ = planned(cluster_of("bond", "debian-9"), PROFILES["debian-9"])
    config = yaml.safe_load(render_network_config(seed))["config"]
    assert [(link["type"], link.get("name")) for link in config] == [
        ("physical", "nic0"), ("physical", "nic1"), ("bond", "bond0"), ("vlan", "bond0.77"), ("nameserver", None),
    ]  # fmt: skip
    assert config[2]["params"]["bond-mode"] == "802.3ad"
    assert config[3]["subnets"] == [{"type": "static", "address": "192.168.77.11/24", "gateway": "192.168.77.1"}]


def test_routes_and_further_addresses_in_version_1() -> None:
    seed, _, _ = planned(cluster_of("cards", "debian-9"), PROFILES["debian-9"])
    first = yaml.safe_load(render_network_config(seed))["config"][0]["subnets"]
    assert [subnet["address"] for subnet in first] == ["192.168.77.11/24", "fd00:77::11/64"]
    assert first[0]["routes"] == [{"network": "10.0.0.0", "netmask": "255.0.0.0", "gateway": "192.168.77.254"}]
