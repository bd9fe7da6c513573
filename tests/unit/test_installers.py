"""Kickstart, preseed and autoinstall make of a machine what cloud-init makes of it, for every kind of node."""

import re
from collections.abc import Callable, Mapping

import pytest
import yaml

from generator.profile import Installer, Profile
from generator.render.autoinstall import render_autoinstall
from generator.render.cloud_init import render_user_data
from generator.render.installer import render_installation
from generator.render.kickstart import render_kickstart
from generator.render.landing import ENABLE
from generator.render.preseed import render_preseed
from generator.scripts import UNIT
from generator.verify import late_script
from tests.example import NODES, example
from tests.installed import Outcome, of_autoinstall, of_kickstart, of_preseed, of_user_data
from tests.installing import HASH, KINDS, PROFILES, cluster_of, planned, rendered

NAMES = {
    Installer.KICKSTART: "kickstart.cfg",
    Installer.PRESEED: "preseed.cfg",
    Installer.AUTOINSTALL: "autoinstall.yaml",
}
READERS: Mapping[str, tuple[str, Callable[..., bytes], Callable[[str], Outcome]]] = {
    "kickstart": ("rocky-9", render_kickstart, of_kickstart),
    "preseed": ("debian-12", render_preseed, of_preseed),
    "autoinstall": ("ubuntu-24.04", render_autoinstall, of_autoinstall),
}


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "public"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.id)
def test_every_installer_lands_what_cloud_init_lands(profile: Profile, kind: str, sealed: bool) -> None:
    _, render, read = READERS[profile.installer.value]
    seed, install, scripts = planned(cluster_of(kind, profile.id), profile)
    seed = seed if sealed else seed.public
    found = read(render(seed, install, scripts).decode())
    expected = of_user_data(render_user_data(seed, scripts).data.decode())
    assert found.landed == expected.landed
    # cloud-init's accounts get their passwords later, from the node's files.
    assert {name: (who.group, who.keys) for name, who in found.accounts.items()} == {
        name: (who.group, who.keys) for name, who in expected.accounts.items()
    }
    assert " ".join(ENABLE) in found.commands
    # The last thing that happens to the files on both roads; cloud-init starts the unit, an installed system boots it.
    without_start = [command for command in expected.commands if "start" not in command and "reload" not in command]
    assert [
        command for command in found.commands if "start" not in command and "reload" not in command
    ] == without_start


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.id)
def test_every_profile_has_an_installation(profile: Profile) -> None:
    seed, install, scripts = planned(cluster_of("users", profile.id), profile)
    name, data = render_installation(seed, install, scripts)
    assert name == NAMES[profile.installer]
    assert UNIT.encode() in data or profile.installer is Installer.PRESEED


def lines(text: str, word: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(word)]


@pytest.mark.parametrize("installer", READERS)
def test_a_public_file_holds_no_secret(installer: str) -> None:
    os, render, read = READERS[installer]
    seed, install, scripts = planned(cluster_of("users", os), PROFILES[os])
    sealed, public = (render(one, install, scripts).decode() for one in (seed, seed.public))
    assert seed.proof
    for secret in (HASH, seed.proof.reveal()):
        # autoinstall hands its accounts to cloud-init, which would show a hash to everyone on the machine.
        assert (secret in sealed + repr(read(sealed))) == (secret != HASH or installer != "autoinstall")
        assert secret not in public + repr(read(public))


KICKSTART_DISKS = {
    "plain": ["reqpart --add-boot", "part / --fstype=xfs"],
    "lvm": ["volgroup system pv.1", "logvol / --vgname=system"],
    "raid1": ["raid /boot --level=RAID1", "raid / --level=RAID1", "raid /boot/efi --level=RAID1", "--disklabel=msdos"],
    "data disks": ["part /var/lib/etcd --fstype=ext4", "part /var/lib/containerd --fstype=ext4", "--ondisk=sdc"],
}


@pytest.mark.parametrize("kind", KICKSTART_DISKS)
def test_kickstart_partitions_as_the_spec_says(kind: str) -> None:
    text = rendered(kind, "rocky-9")
    assert [words for words in KICKSTART_DISKS[kind] if words not in text] == []


def test_kickstart_touches_only_disks_of_the_spec() -> None:
    text = rendered("data disks", "rocky-9")
    assert lines(text, "ignoredisk") == ["ignoredisk --only-use=sda,sdb,sdc"]
    assert lines(text, "clearpart") == ["clearpart --all --initlabel --drives=sda,sdb,sdc"]
    assert "%pre" not in text


def test_kickstart_finds_the_first_disk_by_itself() -> None:
    text = rendered("plain", "rocky-9")
    assert "%include /tmp/kubeseed-disk.ks" in text
    assert 'echo "ignoredisk --only-use=${disk#/dev/}" >>/tmp/kubeseed-disk.ks' in text


def test_preseed_partitions_as_the_spec_says() -> None:
    assert "partman-auto/method string raid" in rendered("raid1", "debian-12")
    assert "partman-auto/disk string /dev/sda /dev/sdb" in rendered("raid1", "debian-12")
    assert "lv_name{ root }" in rendered("lvm", "debian-12")
    assert "list-devices disk | head -n 1" in rendered("plain", "debian-12")
    assert "swap" not in re.sub("no_swap", "", "".join(lines(rendered("plain", "debian-12"), "d-i partman")))


def test_autoinstall_partitions_as_the_spec_says() -> None:
    layouts = {
        kind: yaml.safe_load(rendered(kind, "ubuntu-24.04"))["autoinstall"]["storage"] for kind in KICKSTART_DISKS
    }
    assert layouts["plain"]["layout"] == {"name": "direct"}
    assert layouts["lvm"]["layout"]["name"] == "lvm"
    assert layouts["data disks"]["layout"]["match"] == {"path": "/dev/sda"}
    assert [action["id"] for action in layouts["raid1"]["config"] if action["type"] == "raid"] == ["root"]


def test_a_data_disk_is_formatted_and_mounted_everywhere() -> None:
    seed, install, scripts = planned(cluster_of("data disks", "ubuntu-24.04"), PROFILES["ubuntu-24.04"])
    tree = yaml.safe_load(render_user_data(seed, scripts).data)
    assert [(entry["device"], entry["label"]) for entry in tree["fs_setup"]] == [
        ("/dev/sdb", "etcd"),
        ("/dev/sdc", "containers"),
    ]
    assert [entry[:2] for entry in tree["mounts"]] == [
        ["/dev/sdb", "/var/lib/etcd"],
        ["/dev/sdc", "/var/lib/containerd"],
    ]
    assert install.disk.device == "/dev/sda"
    script = late_script(rendered("data disks", "debian-12"))
    assert "mkfs.ext4 -q -F -L etcd '/dev/sdb'" in script
    assert "echo LABEL=containers '/var/lib/containerd' ext4 defaults 0 2 >>/etc/fstab" in script


def test_a_node_without_etcd_leaves_that_disk_alone() -> None:
    nodes = [{**NODES[0], **KINDS["data disks"], "roles": ["master"]}, *NODES[1:]]
    seed, _, _ = planned(example(nodes=nodes), PROFILES["debian-12"])
    assert [disk.label for disk in seed.disks] == ["containers"]


def test_time_proxies_and_mirrors_reach_every_installer() -> None:
    sections = {
        "packages": {
            "proxy": {"http": "http://proxy.example.org:3128"},
            "base": {
                "apt": "http://mirror.example.org/pool",
                "yum": "http://mirror.example.org/$releasever/$basearch/os/",
            },
        }
    }
    settings = {"timezone": "Europe/Berlin", "ntp": ["ntp1.example.org", "ntp2.example.org"]}
    kickstart = rendered("plain", "rocky-9", defaults=settings, **sections)
    assert "url --url='http://mirror.example.org/9/x86_64/os/' --proxy='http://proxy.example.org:3128'" in kickstart
    assert lines(kickstart, "timesource") == [
        "timesource --ntp-server='ntp1.example.org'", "timesource --ntp-server='ntp2.example.org'",
    ]  # fmt: skip
    assert "timezone 'Europe/Berlin' --utc" in kickstart
    preseed = rendered("plain", "debian-12", defaults=settings, **sections)
    assert "d-i mirror/http/hostname string mirror.example.org" in preseed
    assert "d-i mirror/http/directory string /pool" in preseed
    assert "d-i mirror/http/proxy string http://proxy.example.org:3128" in preseed
    assert "d-i clock-setup/ntp-server string ntp1.example.org" in preseed
    autoinstall = yaml.safe_load(rendered("plain", "ubuntu-24.04", defaults=settings, **sections))["autoinstall"]
    assert autoinstall["proxy"] == "http://proxy.example.org:3128"
    assert autoinstall["apt"]["primary"] == [{"arches": ["default"], "uri": "http://mirror.example.org/pool"}]
    assert autoinstall["timezone"] == "Europe/Berlin"


def test_the_china_preset_installs_from_mirrors_inside_china() -> None:
    packages = {"packages": {"preset": "china"}}
    assert "url --url='https://mirrors.aliyun.com/rockylinux/9/BaseOS/x86_64/os/'" in rendered(
        "plain", "rocky-9", **packages
    )
    assert "repo --name=base-2 --baseurl='https://mirrors.aliyun.com/rockylinux/9/AppStream/x86_64/os/'" in rendered(
        "plain", "rocky-9", **packages
    )
    preseed = rendered("plain", "debian-12", **packages)
    assert "d-i mirror/https/hostname string mirrors.tuna.tsinghua.edu.cn" in preseed
    autoinstall = yaml.safe_load(rendered("plain", "ubuntu-24.04", **packages))["autoinstall"]
    assert autoinstall["apt"]["primary"][0]["uri"] == "https://mirrors.tuna.tsinghua.edu.cn/ubuntu"


def test_the_firewall_is_off_managed_or_left_alone() -> None:
    for settings, words in (
        ({}, "firewall --disabled"),
        ({"firewall": "managed", "disableFirewall": False}, "firewall --disabled"),
        ({"disableFirewall": False}, "firewall --enabled --ssh"),
    ):
        assert words in rendered("plain", "rocky-9", defaults=settings).splitlines()


def test_selinux_is_permissive_and_the_programs_are_labelled() -> None:
    text = rendered("plain", "rocky-9")
    assert "selinux --permissive" in text.splitlines()
    assert "chcon -R -t bin_t /usr/local/lib/kubeseed" in of_kickstart(text).commands
    assert "chcon" not in rendered("plain", "ubuntu-24.04")
