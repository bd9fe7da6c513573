"""systemd takes every unit and drop-in of ours, in a root of its own that holds what a node has; and it can say no."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from generator.render.engine import render_engine
from tests.example import example

pytestmark = pytest.mark.judge
TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
UNITS = {path.name: path for folder in ("node", "backup") for path in (TEMPLATES / folder).glob("kubeseed-*.*")}
PROXY = {"http": "http://proxy.example.org:3128/?a=%41&b=$c", "noProxy": [".example.org", "10.0.0.0/8"]}
STUB = "[Service]\nExecStart=/usr/bin/true\n"
# Texts that stages write on the node, where they alone know the path of the program.
WRITTEN = {"kubelet.service": "packages", "10-kubeadm.conf": "packages", "kubeseed.conf": "engine"}


def verify(root: Path, unit: str) -> tuple[bool, str]:
    """Whether systemd is content with a unit of the root and says nothing at all about it."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=yes", f"--root={root}", unit],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    said = done.stdout + done.stderr
    return done.returncode == 0 and not said, said


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The units of this machine's systemd, ours, and the programs that ours start."""
    root = tmp_path / "root"
    shutil.copytree("/lib/systemd/system", root / "usr/lib/systemd/system", symlinks=True)
    (root / "etc/systemd/system").mkdir(parents=True)
    for name, path in UNITS.items():
        shutil.copy(path, root / "etc/systemd/system" / name)
    library = [path.relative_to(TEMPLATES / "node") for path in (TEMPLATES / "node").glob("*")]
    programs = [f"usr/local/lib/kubeseed/{path}" for path in (*library, "backup/backup")]
    for program in (*programs, "usr/bin/env", "usr/bin/true", "usr/bin/kubelet", "usr/bin/cri-dockerd", "usr/sbin/nft"):
        (root / program).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("/usr/bin/true", root / program)
    return root


def place(root: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        (root / "etc/systemd/system" / path).parent.mkdir(exist_ok=True)
        (root / "etc/systemd/system" / path).write_text(text)


def written(name: str, root: Path) -> str:
    """What the stage writes, put together by a shell that finds the programs in `root`."""
    script = (TEMPLATES / "node/stage" / WRITTEN[name]).read_text().replace('"$DROP_IN"', "/10-kubeadm.conf")
    found = re.search(rf"place 0644 \S*/{name} <<UNIT\n(.*?)^UNIT$", script, re.MULTILINE | re.DOTALL)
    assert found
    text = subprocess.run(
        ["sh", "-c", f"cat <<UNIT\n{found[1]}UNIT\n"],
        env={"PATH": f"{root}/usr/bin:/usr/bin:/bin", "PAUSE_IMAGE": "registry.k8s.io/pause:3.9"},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return text.replace(str(root), "")


@pytest.mark.parametrize("unit", sorted(UNITS))
def test_systemd_takes_every_unit(unit: str, root: Path) -> None:
    good, said = verify(root, unit)
    assert good, said


def test_systemd_takes_the_kubelet_as_the_stage_writes_it(root: Path) -> None:
    place(root, {
        "kubelet.service": written("kubelet.service", root),
        "kubelet.service.d/10-kubeadm.conf": written("10-kubeadm.conf", root),
    })  # fmt: skip
    good, said = verify(root, "kubelet.service")
    assert good, said


@pytest.mark.parametrize("engine", ["containerd", "docker"])
def test_systemd_takes_the_proxy_of_the_engine(engine: str, root: Path) -> None:
    files = {file.path: file.data.decode() for file in render_engine(example(packages={"proxy": PROXY}))}
    drop_in = files["engine-proxy.conf"]
    place(root, {f"{engine}.service": STUB, f"{engine}.service.d/kubeseed-proxy.conf": drop_in})
    good, said = verify(root, f"{engine}.service")
    assert good, said
    place(root, {f"{engine}.service.d/kubeseed-proxy.conf": drop_in.replace("%%", "%")})
    assert not verify(root, f"{engine}.service")[0]


def test_systemd_takes_the_drop_in_of_cri_dockerd(root: Path) -> None:
    drop_in = written("kubeseed.conf", root)
    place(root, {"cri-docker.service": STUB, "cri-docker.service.d/kubeseed.conf": drop_in})
    good, said = verify(root, "cri-docker.service")
    assert good, said


@pytest.mark.parametrize(
    ("unit", "right", "wrong"),
    [
        ("kubeseed-firstboot.service", "Restart=on-failure", "Restrat=on-failure"),
        ("kubeseed-firstboot.service", "Restart=on-failure", "Restart=sometimes"),
        ("kubeseed-firstboot.service", "/kubeseed/run", "/kubeseed/rnu"),
        ("kubeseed-lb.service", "[Service]", "[Servcie]"),
        ("kubeseed-refresh.timer", "OnUnitActiveSec=60", "OnUnitActiveSec=soon"),
        ("kubeseed-backup.timer", "OnCalendar=*:00/15", "OnCalendar=*:00/75x"),
    ],
)  # fmt: skip
def test_systemd_refuses_a_wrong_unit(unit: str, right: str, wrong: str, root: Path) -> None:
    text = UNITS[unit].read_text()
    assert right in text
    place(root, {unit: text.replace(right, wrong)})
    assert not verify(root, unit)[0]
