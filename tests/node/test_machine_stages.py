"""Stages that look at the machine and change it: preflight, clock, base, scrub."""

import stat
from collections.abc import Mapping

import pytest

from tests.node.coordinator import ENROL, SECRET, Coordinator, archive
from tests.node.machine import Machine, words

STAGE = "/usr/local/lib/kubeseed/stage"


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        ({"OS_ID": "rocky", "OS_VERSION": "9"}, "operating system debian 12; the spec says rocky 9"),
        ({"OS_VERSION": "1"}, "operating system debian 12; the spec says debian 1"),
        ({"ARCH": "s390x"}, "the profile supports s390x"),
        ({"MIN_KERNEL": "99.1"}, "at least 99.1 is needed"),
        ({"MIN_CPUS": "4096"}, "at least 4096 are needed"),
        ({"MIN_MEMORY_MIB": "99999999"}, "at least 99999999 MiB are needed"),
    ],
)
def test_preflight_stops_on_the_wrong_machine(
    machine: Machine, coordinator: Coordinator, facts: Mapping[str, str], complaint: str
) -> None:
    machine.seed(coordinator.root.pem(), ENROL, **facts)
    status, output = machine.boot()
    assert status == 20
    assert complaint in words(output)
    assert "Mend the machine or the spec" in output
    assert coordinator.asked == []


def test_preflight_names_every_fault_at_once(machine: Machine, coordinator: Coordinator) -> None:
    machine.seed(coordinator.root.pem(), ENROL, OS_ID="rocky", ARCH="s390x", MIN_CPUS="4096")
    status, output = machine.boot()
    assert status == 20
    assert all(fault in words(output) for fault in ("the spec says rocky", "s390x", "at least 4096"))


def test_preflight_accepts_a_point_release_and_unchecked_values(machine: Machine, coordinator: Coordinator) -> None:
    machine.write("etc/os-release", "ID='rocky'\nVERSION_ID='9.4'\n")
    machine.seed(
        coordinator.root.pem(), ENROL, OS_ID="rocky", OS_VERSION="9", MIN_CPUS="0", MIN_MEMORY_MIB="0", ARCH=""
    )
    assert machine.boot(f"{STAGE}/preflight", "check") == (0, "")


@pytest.mark.parametrize(
    ("port", "facts", "used"),
    [
        (6443, {"ROLES": "master"}, True),
        (6443, {"ROLES": "worker"}, False),
        (10250, {"ROLES": "worker"}, True),
        (2380, {"ROLES": "etcd"}, True),
        (2380, {"ROLES": "etcd worker", "ETCD_TOPOLOGY": "stacked"}, False),
        (2379, {"ROLES": "master", "ETCD_TOPOLOGY": "stacked"}, True),
        (8443, {"LB_ENGINE": "nginx"}, True),
        (8443, {"LB_ENGINE": ""}, False),
    ],
)
def test_preflight_wants_the_ports_of_the_roles(
    machine: Machine, coordinator: Coordinator, port: int, facts: Mapping[str, str], used: bool
) -> None:
    machine.seed(coordinator.root.pem(), ENROL, **facts)
    with machine.listen(port):
        status, output = machine.boot(f"{STAGE}/preflight", "check")
    assert status == (20 if used else 0), output
    assert (f"! TCP port {port} is in use" in output) is used


def test_preflight_takes_ports_for_its_own_once_it_has_passed(machine: Machine, coordinator: Coordinator) -> None:
    assert machine.boot()[0] == 0
    with machine.listen(6443):
        assert machine.boot(f"{STAGE}/preflight", "check") == (0, "")


def test_the_clock_is_lifted_to_the_making_of_the_seed(machine: Machine, coordinator: Coordinator) -> None:
    machine.seed(coordinator.root.pem(), ENROL, SEED_TIME="4102444800")
    machine.write("usr/local/sbin/date", DATE, 0o755)
    status, output = machine.boot()
    assert status == 0, output
    assert machine.calls("date") == ["-u -s @4102444800"]


DATE = """#!/bin/sh
[ "$2" != -s ] || { echo "date $*" >>/var/stand-in/calls; : >/var/stand-in/set; exit; }
[ "$1" != +%s ] || [ ! -e /var/stand-in/set ] || { echo 4102444801; exit; }
exec /usr/bin/date "$@"
"""


def test_the_wait_for_ntp_is_bounded_and_tls_stays_strict(machine: Machine, coordinator: Coordinator) -> None:
    machine.seed(coordinator.root.pem(), ENROL, NTP_SERVERS="ntp.example pool.example")
    status, output = machine.boot()
    assert status == 0, output
    assert machine.read("etc/systemd/timesyncd.conf.d/kubeseed.conf") == "[Time]\nNTP=ntp.example pool.example\n"
    assert "set-ntp true" in machine.calls("timedatectl")
    assert machine.calls("sleep").count("1") == 29
    assert "the clock is not synchronised yet" in machine.read("var/lib/kubeseed/log/clock.log")


BASE = {
    "sysctl.conf": "# why\nvm.swappiness = 0\nnet.no.such.key=1\n",
    "modules.conf": "br_netfilter\n# no\nip_vs\n",
    "modprobe.conf": "options nf_conntrack hashsize=131072\n",
    "limits.conf": "[Manager]\nDefaultLimitNOFILE=100000\n",
    "hosts": "192.0.2.11 m1\n192.0.2.12 m2\n",
    "passwords": "ops:$6$saltsalt$c0ffee\n",
}


def test_base_puts_everything_in_its_place(machine: Machine, coordinator: Coordinator) -> None:
    coordinator.files = archive(BASE)
    machine.seed(coordinator.root.pem(), ENROL, TIMEZONE="Asia/Shanghai")
    machine.write("etc/selinux/config", "# why\nSELINUX=enforcing\nSELINUXTYPE=targeted\n")
    machine.write("usr/local/sbin/ufw", '#!/bin/sh\necho "ufw $*" >>/var/stand-in/calls\n', 0o755)
    status, output = machine.boot()
    log = machine.read("var/lib/kubeseed/log/base.log")
    assert status == 0, output
    assert machine.read("etc/sysctl.d/95-kubeseed.conf") == BASE["sysctl.conf"]
    assert machine.read("etc/modules-load.d/kubeseed.conf") == BASE["modules.conf"]
    assert machine.read("etc/modprobe.d/kubeseed.conf") == BASE["modprobe.conf"]
    assert machine.read("etc/systemd/system.conf.d/kubeseed.conf") == BASE["limits.conf"]
    assert machine.read("etc/hosts") == f"127.0.0.1 localhost\n# kubeseed begin\n{BASE['hosts']}# kubeseed end\n"
    assert machine.read("etc/fstab").splitlines()[1] == "#UUID=0 none swap sw 0 0"
    assert machine.read("etc/selinux/config").splitlines()[1] == "SELINUX=permissive"
    assert machine.read("etc/shadow").splitlines()[1].startswith("ops:$6$saltsalt$c0ffee:")
    assert machine.path("etc/localtime").readlink().as_posix() == "/usr/share/zoneinfo/Asia/Shanghai"
    assert machine.calls("modprobe") == ["-a br_netfilter ip_vs"]
    assert machine.calls("ufw") == ["disable"]
    assert "daemon-reexec" in machine.calls("systemctl")
    assert "sysctl net/no/such/key cannot be set here" in log
    assert stat.S_IMODE(machine.path("etc/sysctl.d/95-kubeseed.conf").stat().st_mode) == 0o644


@pytest.mark.parametrize("broken", ["etc/hosts", "etc/sysctl.d/95-kubeseed.conf", "etc/shadow"])
def test_base_is_judged_by_reality(machine: Machine, coordinator: Coordinator, broken: str) -> None:
    coordinator.files = archive(BASE)
    assert machine.boot()[0] == 0
    whole = machine.read(broken)
    assert machine.boot(f"{STAGE}/base", "check")[0] == 0
    machine.write(broken, "root:*:19000:0:99999:7:::\nops:!:19000:0:99999:7:::\n")
    assert machine.boot(f"{STAGE}/base", "check")[0] == 1
    assert machine.boot(f"{STAGE}/base", "apply")[0] == 0
    assert machine.boot(f"{STAGE}/base", "check")[0] == 0
    assert broken == "etc/hosts" or machine.read(broken).partition("ops")[2] == whole.partition("ops")[2]


def test_base_leaves_the_firewall_alone_unless_told(machine: Machine, coordinator: Coordinator) -> None:
    machine.seed(coordinator.root.pem(), ENROL, DISABLE_FIREWALL="")
    machine.write("usr/local/sbin/ufw", '#!/bin/sh\necho "ufw $*" >>/var/stand-in/calls\n', 0o755)
    assert machine.boot()[0] == 0
    assert machine.calls("ufw") == []


def test_scrub_removes_the_seed_and_whoever_copied_its_secret(machine: Machine, coordinator: Coordinator) -> None:
    copies = (
        "var/lib/cloud/instances/m1/user-data.txt",
        "var/lib/cloud/seed/nocloud/user-data",
        "root/anaconda-ks.cfg",
    )
    for name in (*copies, "var/log/cloud-init-output.log"):
        machine.write(name, f"secret: {SECRET}\n")
    machine.write("var/log/syslog", "nothing\n")
    machine.write("etc/cloud/cloud.cfg", "x: 1\n")
    status, output = machine.boot()
    assert status == 0, output
    assert not [name for name in copies if machine.path(name).exists()]
    assert not machine.path("var/log/cloud-init-output.log").exists()
    assert not machine.path("etc/kubeseed/enrol.curl").exists()
    assert machine.path("etc/cloud/cloud-init.disabled").exists()
    assert machine.read("var/log/syslog") == "nothing\n"
    assert SECRET not in machine.read("var/lib/kubeseed/log/scrub.log")
    assert coordinator.reports()[-1] == "scrub done"


def test_scrub_with_a_damaged_header_removes_nothing_else(machine: Machine, coordinator: Coordinator) -> None:
    assert machine.boot()[0] == 0
    machine.write("etc/kubeseed/enrol.curl", 'header = "Authorization: Enrolment x:"\n', 0o600)
    machine.write("var/log/syslog", "nothing\n\n")
    assert machine.boot(f"{STAGE}/scrub", "apply")[0] == 0
    assert machine.read("var/log/syslog") == "nothing\n\n"


def test_scrub_fails_when_a_copy_cannot_be_removed(machine: Machine, coordinator: Coordinator) -> None:
    machine.write(
        "usr/local/sbin/rm", '#!/bin/sh\ncase $* in */syslog*) exit 0 ;; esac\nexec /usr/bin/rm "$@"\n', 0o755
    )
    machine.write("var/log/syslog", SECRET)
    status, output = machine.boot("timeout", "6", "/usr/local/lib/kubeseed/run")
    assert status == 124
    assert "a secret of the seed is still in: /var/log/syslog" in output
    assert machine.path("etc/kubeseed/enrol.curl").exists()


def test_a_full_disk_fails_cleanly_and_is_tried_again(machine: Machine, coordinator: Coordinator) -> None:
    """F17: nothing is half there; when there is room again, the stage completes."""
    machine.write("usr/local/sbin/cat", FULL_DISK, 0o755)
    coordinator.files = archive(BASE)
    status, output = machine.boot()
    assert status == 0, output
    assert "cannot write /etc/sysctl.d/95-kubeseed.conf: is the disk full?" in output
    assert machine.read("etc/sysctl.d/95-kubeseed.conf") == BASE["sysctl.conf"]
    assert not list(machine.path("etc").rglob("*.kubeseed-new"))


FULL_DISK = """#!/bin/sh
case $(readlink /proc/$$/fd/1) in
/etc/sysctl.d/*) [ -e /var/stand-in/room ] || { : >/var/stand-in/room; echo half; exit 1; } ;;
esac
exec /usr/bin/cat "$@"
"""
