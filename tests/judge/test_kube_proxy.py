"""A real kube-proxy takes the configuration that we write, in both modes; it can say no."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from generator.plan.kubelet import plan_proxy
from generator.plan.tuning import MODULES
from generator.render.dump import dump_yaml
from tests.example import example
from tests.judge.control_plane import programs

pytestmark = pytest.mark.judge


def understood(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """kube-proxy reads and checks a configuration, and writes down what it has understood."""
    program = programs() / "kube-proxy"
    if not program.is_file():
        pytest.skip(f"no kube-proxy in {program.parent}")
    (folder / "proxy.yaml").write_text(text)
    words: list[str | Path] = [
        program,
        "--config",
        folder / "proxy.yaml",
        "--write-config-to",
        folder / "understood.yaml",
    ]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def rendered(mode: str) -> str:
    return dump_yaml(plan_proxy(example(kubernetes={"version": "1.20.2", "proxyMode": mode})))


@pytest.mark.parametrize("mode", ["iptables", "ipvs"])
def test_kube_proxy_takes_what_we_write(mode: str, tmp_path: Path) -> None:
    said = understood(rendered(mode), tmp_path)
    assert said.returncode == 0, said.stderr
    assert "unknown field" not in said.stderr
    found: dict[str, Any] = yaml.safe_load((tmp_path / "understood.yaml").read_text())
    assert found["mode"] == mode


def test_ipvs_finds_its_modules() -> None:
    """Kubernetes' own list (pkg/util/ipvs), with the scheduler that kube-proxy takes by default."""
    assert {"ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", "nf_conntrack"} <= set(MODULES)


@pytest.mark.parametrize(("mine", "wrong"), [("mode: ipvs", "mode: ipvz"), ("clusterCIDR", "clusterCidrs")])
def test_kube_proxy_can_say_no(mine: str, wrong: str, tmp_path: Path) -> None:
    text = rendered("ipvs").replace(mine, wrong)
    assert text != rendered("ipvs")
    said = understood(text, tmp_path)
    assert said.returncode != 0 or "unknown field" in said.stderr
