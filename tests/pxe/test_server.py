"""The boot server: dnsmasq accepts what `generate` writes, its folder is filled, and systemd accepts its unit."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from generator.cli import app
from generator.errors import LocalError
from generator.pxe.server import NEEDED, OPTIONAL, configuration, prepare, setting, unit
from tests.lab.command import run
from tests.lab.installed import ROOT

PXE = "pxe: {{interface: eno1, tftpRoot: {tftp}, {rest}}}\n"
DHCP = "mode: dhcp, range: {first: 192.168.77.200, last: 192.168.77.220}"


def generate(folder: Path, rest: str = "mode: proxy", *, pxe: bool = True) -> Path:
    spec, out = folder / "cluster.yaml", folder / "out"
    section = PXE.format(tftp=folder / "tftp", rest=rest) if pxe else ""
    url = "  url: https://192.168.77.2:8443\n"
    example = (
        (ROOT / "profiles/cluster/ha.yaml").read_text().replace(url, f"{url}  bootUrl: http://192.168.77.2:8080\n")
    )
    spec.write_text(example + section)
    done = CliRunner().invoke(app, ["generate", str(spec), "-o", str(out)])
    assert done.exit_code == 0, done.output
    return out


def ipxe(folder: Path, names: tuple[str, ...] = NEEDED) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text(f"iPXE: {name}")
    return folder


@pytest.mark.parametrize("rest", ["mode: proxy", "mode: dhcp", f"{DHCP}, enrolUnknown: true"])
def test_dnsmasq_accepts_its_configuration(tmp_path: Path, rest: str) -> None:
    conf = configuration(generate(tmp_path, rest))
    assert prepare(conf, ipxe(tmp_path / "ipxe")) == OPTIONAL  # ends with dnsmasq --test
    assert {path.name for path in (tmp_path / "tftp").iterdir()} == set(NEEDED)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "tftp").iterdir()} == {0o644}


def test_a_wrong_configuration_is_told_before_dnsmasq_runs(tmp_path: Path) -> None:
    conf = configuration(generate(tmp_path))
    conf.write_text(conf.read_text() + "dhcp-rnage=x\n")
    with pytest.raises(LocalError, match="dnsmasq failed"):
        prepare(conf, ipxe(tmp_path / "ipxe"))


def test_a_newer_ipxe_replaces_the_older(tmp_path: Path) -> None:
    conf = configuration(generate(tmp_path))
    source = ipxe(tmp_path / "ipxe", NEEDED + OPTIONAL)
    assert prepare(conf, source) == ()
    (source / NEEDED[0]).write_text("newer")
    prepare(conf, source)
    assert (tmp_path / "tftp" / NEEDED[0]).read_text() == "newer"


def test_ipxe_that_lacks_is_named_with_its_package(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="apt install ipxe"):
        prepare(configuration(generate(tmp_path)), ipxe(tmp_path / "ipxe", ()))


def test_a_cluster_without_network_boot_says_so(tmp_path: Path) -> None:
    out = generate(tmp_path, pxe=False)
    done = CliRunner().invoke(app, ["pxe", "unit", str(out)])
    assert isinstance(done.exception, LocalError)
    assert "write section pxe" in str(done.exception)


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    out = generate(tmp_path)
    program = tmp_path / "kubeseed"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = unit(out, program)
    assert re.search(rf"^ExecStart={program} pxe run {out}$", text, re.MULTILINE)
    assert setting(configuration(out), "interface") in text
    path = tmp_path / "kubeseed-pxe.service"
    path.write_text(text)
    run(["systemd-analyze", "verify", "--man=no", path])


def test_a_path_that_systemd_would_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="without blanks"):
        unit(generate(tmp_path), Path("/opt/my tools/kubeseed"))
