"""cloud-init itself accepts the seeds of every kind of node: cards, bonds, VLANs, disks of their own, accounts."""

from pathlib import Path

import pytest

from generator.render.cloud_init import render_user_data
from generator.render.network_config import render_network_config
from tests.installing import KINDS, PROFILES, cluster_of, planned
from tests.judge.cloud_init import CloudInit, cloud_init

pytestmark = pytest.mark.judge
# Network configuration version 1, version 2 with names of ours, and version 2 as it is today.
SYSTEMS = ("debian-9", "rocky-9", "debian-12")


@pytest.fixture(scope="module", params=["bookworm", "sid"])
def judge(request: pytest.FixtureRequest) -> CloudInit:
    return cloud_init(request.param)


@pytest.mark.parametrize("kind", KINDS)
def test_the_user_data_is_accepted(judge: CloudInit, kind: str, tmp_path: Path) -> None:
    seed, _, scripts = planned(cluster_of(kind, "debian-12"), PROFILES["debian-12"])
    path = tmp_path / "user-data"
    for one in (seed, seed.public):
        path.write_bytes(render_user_data(one, scripts).data)
        good, said = judge.user_data_verdict(path)
        assert good, said


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("os", SYSTEMS)
def test_the_network_config_is_accepted(judge: CloudInit, os: str, kind: str, tmp_path: Path) -> None:
    seed, _, _ = planned(cluster_of(kind, os), PROFILES[os])
    path = tmp_path / "network-config"
    path.write_bytes(render_network_config(seed))
    good, said = judge.network_verdict(path, tmp_path / "made")
    assert good, said
    made = "".join(file.read_text() for file in (tmp_path / "made").rglob("*") if file.is_file())
    assert ("Kind=bond" in made) == (kind == "bond")
    assert ("192.168.77.11/24" in made) == (kind != "dhcp")
    assert ("10.20.0.11/24" in made) == (kind == "cards")
