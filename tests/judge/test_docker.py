"""Debian's dockerd runs on the daemon.json that we write, does what it says, and can say no."""

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from generator.render.engine import render_engine
from tests.example import example
from tests.lab.cache import cached
from tests.lab.command import LabError, run

pytestmark = pytest.mark.judge
# Unpacked rather than installed: an installed docker would start, and change this computer's packet filter.
PACKAGES = ("docker.io", "libdevmapper1.02.1")
# In a network and file system of its own; cgroups by systemd are refused where no systemd runs.
TRY = """set -eu
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /var/lib/docker && mount -t tmpfs tmpfs /var/lib/docker
ip link set lo up
export LD_LIBRARY_PATH="$1/usr/lib/x86_64-linux-gnu:$1/lib/x86_64-linux-gnu" PATH="$1/usr/sbin:$1/usr/bin:$PATH"
export DOCKER_HOST=unix:///run/docker.sock
dockerd --config-file "$2" --host "$DOCKER_HOST" --iptables=false --pidfile /run/docker.pid >"$2.log" 2>&1 &
tries=0
until docker version >/dev/null 2>&1; do
  kill -0 $!
  tries=$((tries + 1))
  [ "$tries" -lt 200 ]
  sleep 0.3
done
docker info --format '{{json .}}'
"""


@pytest.fixture(scope="module")
def docker() -> Path:
    """The folder with docker's programs."""
    if os.geteuid() != 0:
        pytest.skip("dockerd needs root")
    try:
        return cached("docker", hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest(), unpack)
    except LabError as error:
        pytest.skip(f"Debian's docker is not to be had here: {error}")


def unpack(folder: Path) -> None:
    run(["apt-get", "-q", "download", *PACKAGES], folder=folder, timeout=300)
    for archive in folder.glob("*.deb"):
        run(["dpkg-deb", "-x", archive, folder])
        archive.unlink()


def started(docker: Path, configuration: Path) -> subprocess.CompletedProcess[str]:
    """What `docker info` says of a daemon with this configuration."""
    alone = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
    command = [*alone, "sh", "-c", TRY, "sh", str(docker), str(configuration)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def rendered(folder: Path) -> Path:
    engine = {"name": "docker", "registries": {"docker.io": ["https://m.example"]}, "insecureRegistries": ["r:5000"]}
    files = {artefact.path: artefact.data for artefact in render_engine(example(engine=engine))}
    (folder / "docker.json").write_bytes(files["docker.json"])
    return folder / "docker.json"


def test_dockerd_runs_on_what_we_write(docker: Path, tmp_path: Path) -> None:
    configuration = rendered(tmp_path)
    said = started(docker, configuration)
    assert said.returncode == 0, configuration.with_suffix(".json.log").read_text()[-2000:]
    info: dict[str, Any] = json.loads(said.stdout)
    assert (info["CgroupDriver"], info["Driver"], info["LoggingDriver"]) == ("systemd", "overlay2", "json-file")
    assert info["RegistryConfig"]["Mirrors"] == ["https://m.example/"]
    assert info["RegistryConfig"]["IndexConfigs"]["r:5000"]["Secure"] is False
    assert "unable to configure" not in configuration.with_suffix(".json.log").read_text()


def test_dockerd_can_say_no(docker: Path, tmp_path: Path) -> None:
    configuration = rendered(tmp_path)
    said = configuration.read_text()
    configuration.write_text(said.replace('"log-driver"', '"log-drivers"'))
    assert configuration.read_text() != said
    assert started(docker, configuration).returncode != 0
    assert "log-drivers" in configuration.with_suffix(".json.log").read_text()
