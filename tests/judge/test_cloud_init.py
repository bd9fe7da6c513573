"""cloud-init itself, of Debian 12 and of the newest release, accepts every seed; each judge can say no."""

from pathlib import Path

import pytest

from generator.cli import main
from tests.judge.cloud_init import CloudInit, cloud_init

pytestmark = pytest.mark.judge
ROOT = Path(__file__).resolve().parents[2]
SPECS = ("ha", "minimal")


@pytest.fixture(scope="module", params=["bookworm", "sid"])
def judge(request: pytest.FixtureRequest) -> CloudInit:
    return cloud_init(request.param)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    found = []
    for name in SPECS:
        out = tmp_path_factory.mktemp(name) / "out"
        with pytest.raises(SystemExit) as ended:
            main(["generate", str(ROOT / "profiles/cluster" / f"{name}.yaml"), "-o", str(out)])
        assert ended.value.code == 0
        found.append(out)
    return found


def test_every_user_data_is_accepted(judge: CloudInit, trees: list[Path]) -> None:
    seeds = [path for out in trees for path in sorted(out.rglob("user-data"))]
    assert len(seeds) >= 12
    assert [said for good, said in judge.user_data_verdicts(seeds) if not good] == []


def test_every_network_config_is_accepted(judge: CloudInit, trees: list[Path], tmp_path: Path) -> None:
    seeds = [path for out in trees for path in sorted(out.rglob("network-config"))]
    assert len(seeds) >= 12
    assert [said for good, said in judge.network_verdicts(seeds, tmp_path) if not good] == []


def test_a_wrong_user_data_is_refused(judge: CloudInit, tmp_path: Path) -> None:
    wrong = tmp_path / "user-data"
    wrong.write_text("#cloud-config\nruncmd: 3\n")
    assert not judge.user_data_verdict(wrong)[0]


def test_a_wrong_network_config_is_refused(judge: CloudInit, tmp_path: Path) -> None:
    wrong = tmp_path / "network-config"
    wrong.write_text("version: 2\nethernets: {nic0: {addresses: 3}}\n")
    assert not judge.network_verdict(wrong, tmp_path)[0]
