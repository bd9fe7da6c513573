"""cloud-init itself accepts the seeds of every profile and kind of node: cards, bonds, VLANs, disks, accounts."""

from pathlib import Path

import pytest

from generator.profile import Family, Profile
from generator.render.cloud_init import render_user_data
from generator.render.network_config import render_network_config
from tests.installing import KINDS, PROFILES, cluster_of, planned
from tests.judge.cloud_init import CloudInit, System, cloud_init

pytestmark = pytest.mark.judge


@pytest.fixture(scope="module", params=["bookworm", "sid"])
def judge(request: pytest.FixtureRequest) -> CloudInit:
    return cloud_init(request.param)


@pytest.fixture(params=PROFILES.values(), ids=lambda profile: profile.id)
def profile(request: pytest.FixtureRequest) -> Profile:
    found: Profile = request.param
    return found


def system(profile: Profile) -> System:
    """Whose network cloud-init sets up on the profile's machines."""
    return "rhel" if profile.family is Family.RHEL else "ubuntu" if profile.os_id == "ubuntu" else "debian"


@pytest.mark.proves("judged", "user-data, by the schemas of cloud-init in Debian 12 and sid")
def test_every_user_data_is_accepted(judge: CloudInit, profile: Profile, tmp_path: Path) -> None:
    seeds = {}
    for kind in KINDS:
        seed, _, scripts = planned(cluster_of(kind, profile.id), profile)
        for name, one in (("sealed", seed), ("public", seed.public)):
            seeds[f"{kind}, {name}"] = tmp_path / f"{kind}-{name}"
            seeds[f"{kind}, {name}"].write_bytes(render_user_data(one, scripts).data)
    verdicts = dict(zip(seeds, judge.user_data_verdicts(list(seeds.values())), strict=True))
    assert {kind: said for kind, (good, said) in verdicts.items() if not good} == {}


@pytest.mark.proves("judged", "network-config, by cloud-init of Debian 12 and sid")
def test_every_network_config_is_accepted(judge: CloudInit, profile: Profile, tmp_path: Path) -> None:
    paths = []
    for kind in KINDS:
        seed, _, _ = planned(cluster_of(kind, profile.id), profile)
        paths.append(tmp_path / kind)
        paths[-1].write_bytes(render_network_config(seed))
    verdicts = dict(zip(KINDS, judge.network_verdicts(paths, tmp_path / "made", system(profile)), strict=True))
    assert {kind: said for kind, (good, said) in verdicts.items() if not good} == {}
    for number, kind in enumerate(KINDS):
        made = "".join(file.read_text() for file in (tmp_path / f"made/{number}").rglob("*") if file.is_file())
        assert ("802.3ad" in made) == (kind == "bond")
        assert ("192.168.77.11" in made) == (kind != "dhcp")
        assert ("10.20.0.11" in made) == (kind == "cards")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("users:", "users: 3\nx:"), ("  permissions: '0", "  permission: '0"), ("runcmd:\n", "runcmd:\n- 3\n")],
)
def test_a_wrong_user_data_is_refused(judge: CloudInit, right: str, wrong: str, tmp_path: Path) -> None:
    seed, _, scripts = planned(cluster_of("users", "debian-12"), PROFILES["debian-12"])
    text = render_user_data(seed, scripts).data.decode()
    assert right in text
    path = tmp_path / "user-data"
    path.write_text(text.replace(right, wrong, 1))
    assert not judge.user_data_verdict(path)[0]


# Version 1, version 2 with names of ours, and version 2 as it is today. Old releases do not look at addresses.
@pytest.mark.parametrize(
    ("os", "right", "wrong"),
    [
        ("debian-9", "type: physical", "type: physcal"),
        ("rocky-9", "ethernets:", "ethernets: 3\nx:"),
        ("debian-12", "version: 2", "version: 7"),
    ],
)
def test_a_wrong_network_config_is_refused(judge: CloudInit, os: str, right: str, wrong: str, tmp_path: Path) -> None:
    seed, _, _ = planned(cluster_of("plain", os), PROFILES[os])
    text = render_network_config(seed).decode()
    assert right in text
    path = tmp_path / "network-config"
    path.write_text(text.replace(right, wrong))
    assert not judge.network_verdict(path, tmp_path / "made")[0]
