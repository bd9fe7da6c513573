"""Each installer's own tools accept what is rendered for every kind of node, and refuse what is wrong."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from generator.profile import Installer
from generator.render.landing import SUDOERS
from generator.verify import late_script
from tests.installed import of_kickstart, of_preseed
from tests.installing import KINDS, PROFILES, rendered
from tests.judge.cloud_init import CloudInit, cloud_init
from tests.judge.network_manager import NetworkManager, network_manager

pytestmark = pytest.mark.judge
ROOT = Path(__file__).resolve().parents[2]


def judge(*words: str, text: str | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(words, input=text, capture_output=True, text=True, check=False, timeout=120)


def systems(installer: Installer) -> list[str]:
    return [profile.id for profile in PROFILES.values() if profile.installer is installer]


# One release of each format has every kind of node; the others differ in names only and have one.
WHOLE = {"rhel-7", "rocky-8", "rocky-9", "debian-12", "ubuntu-24.04"}


def cases(installer: Installer) -> list[Any]:
    kinds = {os: KINDS if os in WHOLE else ("users",) for os in systems(installer)}
    return [pytest.param(os, kind, id=f"{os}-{kind}") for os in kinds for kind in kinds[os]]


def ksvalidator(text: str, syntax: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    path = folder / "kickstart.cfg"
    path.write_text(text)
    return judge(str(Path(sys.executable).with_name("ksvalidator")), "--version", syntax, str(path))


def as_the_machine_reads_it(text: str) -> Iterator[str]:
    """The file with what %pre writes in place of its include, once for each kind of firmware."""
    pre = text.partition("%pre ")[2].partition("%end")[0]
    efi, _, bios = pre.partition("if [ -d")[2].partition("\nelse\n")
    written = [found[0] for found in re.findall(r'^( *echo "([^"]*)" >>.*)$', pre, re.MULTILINE)]
    for other in (efi, bios.partition("\nfi\n")[0]):
        lines = [re.sub(r'^ *echo "(.*)" >>.*$', r"\1", line) for line in written if line not in other.splitlines()]
        yield text.replace("%include /tmp/kubeseed-disk.ks", "\n".join(lines).replace("${disk#/dev/}", "sda"))


@pytest.mark.proves("judged", "kickstart, by ksvalidator with the release's syntax")
@pytest.mark.parametrize(("os", "kind"), cases(Installer.KICKSTART))
def test_pykickstart_takes_every_kickstart(os: str, kind: str, tmp_path: Path) -> None:
    kickstart = PROFILES[os].kickstart
    assert kickstart
    for text in as_the_machine_reads_it(rendered(kind, os)):
        assert "%include" not in text
        done = ksvalidator(text, kickstart.syntax, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("rootpw --lock", "rootpw --loock"), ("reqpart --add-boot", "reqpart --boot"), ("%packages", "%package")],
)
def test_pykickstart_refuses_a_wrong_kickstart(right: str, wrong: str, tmp_path: Path) -> None:
    text = next(as_the_machine_reads_it(rendered("plain", "rocky-9")))
    assert right in text
    assert ksvalidator(text.replace(right, wrong), "RHEL9", tmp_path).returncode != 0


def test_pykickstart_knows_the_versions_apart(tmp_path: Path) -> None:
    text = next(as_the_machine_reads_it(rendered("plain", "rocky-9")))
    assert ksvalidator(text, "RHEL7", tmp_path).returncode != 0


@pytest.mark.proves("judged", "preseed, by debconf-set-selections")
@pytest.mark.parametrize(("os", "kind"), cases(Installer.PRESEED))
def test_debconf_takes_every_preseed(os: str, kind: str) -> None:
    done = judge("debconf-set-selections", "--checkonly", text=rendered(kind, os))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("right", "wrong"), [("time/zone string", "time/zone"), ("d-i clock-setup/utc", "clock-setup/utc")]
)
def test_debconf_refuses_a_wrong_preseed(right: str, wrong: str) -> None:
    text = rendered("plain", "debian-12")
    assert right in text
    done = judge("debconf-set-selections", "--checkonly", text=text.replace(right, wrong))
    assert done.returncode != 0 or "warning" in done.stderr


def autoinstall_schema() -> Any:
    shared = Path(os.environ.get("KUBESEED_SHARED") or ROOT.parent / "shared")
    path = shared / "data" / "autoinstall-schema.json"
    if not path.exists():
        pytest.skip(f"subiquity's schema is not at {path}; set KUBESEED_SHARED to the folder that holds data/")
    return json.loads(path.read_text())


@pytest.mark.proves("judged", "autoinstall, by Subiquity's schema")
@pytest.mark.parametrize(("os", "kind"), cases(Installer.AUTOINSTALL))
def test_subiquitys_schema_takes_every_autoinstall(os: str, kind: str) -> None:
    document = yaml.safe_load(rendered(kind, os))
    assert list(document) == ["autoinstall"]
    schema = autoinstall_schema()
    assert set(document["autoinstall"]) <= set(schema["properties"])
    jsonschema.validate(document["autoinstall"], schema)


@pytest.mark.parametrize(("key", "value"), [("version", 2), ("updates", "some"), ("packages", "curl"), ("ssh", [])])
def test_subiquitys_schema_refuses_a_wrong_autoinstall(key: str, value: object) -> None:
    document = yaml.safe_load(rendered("plain", "ubuntu-24.04"))["autoinstall"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, key: value}, autoinstall_schema())


@pytest.fixture(scope="module", params=["bookworm", "sid"])
def cloud(request: pytest.FixtureRequest) -> CloudInit:
    return cloud_init(request.param)


def test_cloud_init_takes_the_user_data_of_an_autoinstall(cloud: CloudInit, tmp_path: Path) -> None:
    for kind in KINDS:
        inner = yaml.safe_load(rendered(kind, "ubuntu-24.04"))["autoinstall"]["user-data"]
        path = tmp_path / "user-data"
        path.write_text("#cloud-config\n" + yaml.safe_dump(inner))
        good, said = cloud.user_data_verdict(path)
        assert good, said


@pytest.fixture(scope="module")
def manager() -> NetworkManager:
    return network_manager()


@pytest.mark.parametrize("kind", KINDS)
def test_network_manager_takes_every_connection(manager: NetworkManager, kind: str) -> None:
    files = of_kickstart(rendered(kind, "rocky-9")).files
    keyfiles = [text for path, (_, text) in files.items() if path.endswith(".nmconnection")]
    assert bool(keyfiles) == (kind != "no mac")
    for text in keyfiles:
        good, said = manager.verdict(text)
        assert good, said


def test_network_manager_refuses_a_wrong_connection(manager: NetworkManager) -> None:
    assert not manager.verdict("[connection]\nid=x\ntype=ethernet\n\n[ipv4]\nmethod=manual\n")[0]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "no mac"])
def test_ifupdown_takes_every_interfaces_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "interfaces"
    path.write_text(of_preseed(rendered(kind, "debian-12")).files["/etc/network/interfaces"][1])
    done = judge("ifup", "--no-act", "--force", "--all", "--interfaces", str(path), "--state-dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    listed = judge("ifquery", "--list", "--interfaces", str(path)).stdout.split()
    assert listed[0] == "lo"


def test_ifupdown_refuses_a_wrong_interfaces_file(tmp_path: Path) -> None:
    path = tmp_path / "interfaces"
    path.write_text("auto nic0\niface nic0 inet statik\n  address 192.168.77.11/24\n")
    assert judge("ifup", "--no-act", "--all", "--interfaces", str(path), "--state-dir", str(tmp_path)).returncode != 0


def test_visudo_takes_the_sudoers_file_and_refuses_a_wrong_one(tmp_path: Path) -> None:
    mode, text = of_preseed(rendered("users", "debian-12")).files[SUDOERS]
    path = tmp_path / "sudoers"
    path.write_text(text)
    path.chmod(mode)
    assert judge("visudo", "--check", "--file", str(path)).returncode == 0
    path.unlink()
    path.write_text(text.replace("ALL=", "ALL="[:-1]))
    assert judge("visudo", "--check", "--file", str(path)).returncode != 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shell", [["dash"], ["bash", "--posix"], ["busybox", "sh"]], ids=lambda shell: shell[0])
def test_every_shell_can_read_the_late_scripts(kind: str, shell: list[str]) -> None:
    kickstart = rendered(kind, "rocky-9")
    sections = [
        part.partition("\n")[2].partition("\n%end")[0]
        for part in re.split(r"^%(?:pre|post) ", kickstart, flags=re.MULTILINE)[1:]
    ]
    for script in (late_script(rendered(kind, "debian-12")), *sections):
        done = judge(*shell, "-n", text=script)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_shellcheck_has_nothing_to_say(kind: str) -> None:
    kickstart = rendered(kind, "rocky-9")
    post = kickstart.rpartition("%post ")[2].partition("\n")[2].removesuffix("%end\n")
    for script in (late_script(rendered(kind, "debian-12")), post):
        # Every text that is landed is data here; functions that a node has no use for stay.
        done = judge("shellcheck", "--shell=sh", "--exclude=SC2317,SC2329", "-", text=script)
        assert done.returncode == 0, done.stdout
