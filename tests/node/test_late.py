"""The script that kickstart and preseed end with, run for real: what it lands, whose it is and who may read it."""

import stat

import pytest

from generator.verify import late_script
from tests.installed import Outcome, of_kickstart, of_preseed
from tests.installing import HASH, rendered
from tests.node.machine import Machine

STAND_IN = '#!/bin/sh\necho "${0##*/} $*" >>/var/stand-in/calls\n'


def run(machine: Machine, script: str) -> tuple[int, str]:
    machine.path("home").mkdir(exist_ok=True)
    for program in ("update-initramfs", "chcon", "mkfs.ext4", "mount"):
        machine.write(f"usr/local/sbin/{program}", STAND_IN, 0o755)
    machine.write("root/late", script)
    return machine.boot("/bin/sh", "/root/late")


def check_landed(machine: Machine, outcome: Outcome) -> None:
    assert len(outcome.landed) >= 8
    for path, (mode, text) in outcome.files.items():
        found = machine.path(path)
        assert found.read_text() == text
        status = found.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid) == (mode, 0)
    assert "enable kubeseed-firstboot.service" in machine.calls("systemctl")


def check_keys(machine: Machine, name: str, keys: tuple[str, ...]) -> None:
    passwd = dict(line.split(":", 1) for line in machine.read("etc/passwd").splitlines())
    uid, home = passwd[name].split(":")[1], passwd[name].split(":")[4]
    folder = machine.path(f"{home}/.ssh")
    assert (folder / "authorized_keys").read_text() == "".join(f"{key}\n" for key in keys)
    for path, mode in ((folder, 0o700), (folder / "authorized_keys", 0o600)):
        assert (stat.S_IMODE(path.stat().st_mode), str(path.stat().st_uid)) == (mode, uid)


@pytest.mark.parametrize("kind", ["users", "bond", "cards", "dotted"])
def test_a_kickstart_lands_everything(machine: Machine, kind: str) -> None:
    text = rendered(kind, "rocky-9")
    machine.write("etc/NetworkManager/system-connections/installer.nmconnection", "")
    machine.write("etc/passwd", machine.read("etc/passwd") + "guest:x:4712:4712::/home/guest:/bin/sh\n")
    script = text.rpartition("%post ")[2].partition("\n")[2].removesuffix("%end\n")
    assert run(machine, script) == (0, "")
    outcome = of_kickstart(text)
    check_landed(machine, outcome)
    for name, account in outcome.accounts.items():
        if account.keys:
            check_keys(machine, name, account.keys)
    assert not machine.path("etc/NetworkManager/system-connections/installer.nmconnection").exists()


@pytest.mark.parametrize("kind", ["users", "bond", "cards", "data disks"])
def test_a_preseed_lands_everything_and_makes_the_accounts(machine: Machine, kind: str) -> None:
    machine.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
    machine.write("etc/shadow", "root:*:19000:0:99999:7:::\n", 0o600)
    text = rendered(kind, "debian-12")
    status, said = run(machine, late_script(text))
    assert status == 0, said
    outcome = of_preseed(text)
    check_landed(machine, outcome)
    shadow = dict(line.split(":")[:2] for line in machine.read("etc/shadow").splitlines())
    for name, account in outcome.accounts.items():
        assert shadow[name] == account.password or (not account.password and shadow[name].startswith("!"))
        if account.keys:
            check_keys(machine, name, account.keys)
    if kind == "users":
        assert shadow["ops"] == HASH
        assert "sudo:x:27:ops" in machine.read("etc/group").splitlines()
    if kind == "data disks":
        assert "LABEL=etcd /var/lib/etcd ext4 defaults 0 2" in machine.read("etc/fstab")
        assert "-q -F -L etcd /dev/sdb" in machine.calls("mkfs.ext4")


def test_a_late_script_stops_where_something_fails(machine: Machine) -> None:
    script = late_script(rendered("plain", "debian-12")).replace("update-initramfs -u -k all", "false")
    assert run(machine, script)[0] != 0
    assert machine.calls("systemctl") == []


def test_secrets_are_unreadable_from_the_first_moment(machine: Machine) -> None:
    """A reader who looks all the time while the script runs never sees a readable secret."""
    script = late_script(rendered("users", "debian-12"))
    watch = 'chmod() { stat -c "%a %n" "$2" >>/var/stand-in/modes; command chmod "$@"; }\n'
    machine.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
    machine.write("etc/shadow", "root:*:19000:0:99999:7:::\n", 0o600)
    assert run(machine, watch + script)[0] == 0
    modes = dict(line.split()[::-1] for line in machine.read("var/stand-in/modes").splitlines())
    assert modes["/etc/kubeseed/enrol.curl"] == "600"
