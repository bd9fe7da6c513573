"""containerd and apt read what we write; each can say no."""

import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from generator.mirror import load_mirrors
from generator.plan.packages import plan_package_names, plan_sources
from generator.profile import PackageManager, load_profiles
from generator.render.engine import render_engine
from generator.render.packages import render_packages
from tests.example import example

pytestmark = pytest.mark.judge
CRI = "io.containerd.grpc.v1.cri"
APT_PROFILES = [one for one in load_profiles().values() if one.package_manager is PackageManager.APT]


def containerd(configuration: Path) -> subprocess.CompletedProcess[str]:
    """What containerd makes of a configuration: its own words for all of it."""
    program = shutil.which("containerd")
    if not program:
        pytest.skip("no containerd on this machine")
    command = [program, "--config", str(configuration), "config", "dump"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def understood(tmp_path: Path, **engine: Any) -> dict[str, Any]:
    path = tmp_path / "config.toml"
    path.write_bytes(render_engine(example(engine=engine))[0].data)
    said = containerd(path)
    assert said.returncode == 0, said.stderr
    return tomllib.loads(said.stdout)


def test_containerd_understands_every_key(tmp_path: Path) -> None:
    extra = f'[plugins."{CRI}".containerd.runtimes.kata]\nruntime_type = "io.containerd.kata.v2"\n'
    tree = understood(
        tmp_path,
        dataDir="/data/containerd",
        restrictOomScoreAdj=True,
        containerd={"oomScore": -5, "snapshotter": "native", "extraConfig": extra},
    )
    assert (tree["root"], tree["oom_score"]) == ("/data/containerd", -5)
    cri = tree["plugins"][CRI]
    assert cri["restrict_oom_score_adj"] is True
    assert cri["sandbox_image"] == "registry.k8s.io/pause:3.9"
    assert cri["registry"]["config_path"] == "/etc/containerd/certs.d"
    assert cri["containerd"]["snapshotter"] == "native"
    assert cri["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True
    assert cri["containerd"]["runtimes"]["kata"]["runtime_type"] == "io.containerd.kata.v2"


def test_containerd_can_say_no(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    said = render_engine(example())[0].data.decode()
    path.write_text(said.replace("oom_score = -999", 'oom_score = "low"'))
    assert path.read_text() != said
    assert containerd(path).returncode != 0


def apt(sources: Path) -> subprocess.CompletedProcess[str]:
    """The files that apt would fetch for a list of sources."""
    options = {"Dir::Etc::sourcelist": str(sources), "Dir::Etc::sourceparts": "/dev/null", "APT::Architecture": "amd64"}
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    command = [
        "apt-get",
        *words,
        "indextargets",
        "--no-release-info",
        "--format",
        "$(URI)",
        "Created-By: Packages",
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("preset", ["upstream", "china"])
@pytest.mark.parametrize("profile", APT_PROFILES, ids=lambda profile: profile.id)
def test_apt_knows_every_source(profile: Any, preset: str, tmp_path: Path) -> None:
    if not shutil.which("apt-get"):
        pytest.skip("no apt on this machine")
    sources = plan_sources(example(), profile, load_mirrors()[preset])
    rendered = render_packages(profile.package_manager, sources, plan_package_names(profile))
    path = tmp_path / "kubeseed.list"
    path.write_bytes(next(artefact.data for artefact in rendered if artefact.path == "packages.apt"))
    said = apt(path)
    assert said.returncode == 0, said.stderr
    lines = said.stdout.splitlines()
    for source in sources:
        if "arm64" not in source.arches:
            assert any(line.startswith(source.url) for line in lines), source.name


def test_apt_can_say_no(tmp_path: Path) -> None:
    path = tmp_path / "kubeseed.list"
    path.write_text("deb [signed-by] https://pkgs.k8s.io/ /\n")
    assert apt(path).returncode != 0
