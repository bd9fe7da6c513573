"""Stage kernel: the newest kernel is installed, and the machine restarts into it once and never again."""

import platform

import pytest

from tests.node.coordinator import ENROL, Coordinator
from tests.node.machine import Machine

KERNEL = "/usr/local/lib/kubeseed/stage/kernel"
NEWER, RUNNING = "999.1.0-1-amd64", platform.release()
# Stands for apt-get and dnf: what they were asked for is written down, and a kernel appears.
INSTALLER = '#!/bin/sh\necho "${{0##*/}} $*" >>/var/stand-in/calls\nmkdir -p /boot\n: >/boot/vmlinuz-{version}\n'


@pytest.fixture
def sealed(machine: Machine, coordinator: Coordinator) -> Machine:
    machine.seed(coordinator.root.pem(), ENROL, KERNEL_PACKAGES="linux-image-amd64")
    machine.write("boot/vmlinuz-0-rescue-0123", "")
    offer(machine, NEWER)
    return machine


def offer(machine: Machine, version: str) -> None:
    for program in ("apt-get", "dnf"):
        machine.write(f"usr/local/sbin/{program}", INSTALLER.format(version=version), 0o755)
    machine.write("usr/local/sbin/dpkg", "#!/bin/sh\n", 0o755)


def installs(machine: Machine, program: str) -> list[str]:
    return [call for call in machine.calls(program) if "update" not in call.split()[-1]]


def test_a_newer_kernel_is_installed_and_booted_once(sealed: Machine) -> None:
    _, said = sealed.boot(KERNEL, "apply")
    assert f"restarting into kernel {NEWER}" in said
    assert "reboot" in sealed.calls("systemctl")
    assert installs(sealed, "apt-get")[0].endswith("install linux-image-amd64")
    # After the restart there is nothing left to do, whichever kernel runs.
    assert sealed.boot(KERNEL, "check")[0] == 0


def test_the_newest_kernel_needs_no_restart(sealed: Machine) -> None:
    offer(sealed, RUNNING)
    status, said = sealed.boot(KERNEL, "apply")
    assert (status, f"the newest kernel runs already: {RUNNING}" in said) == (0, True)
    assert "reboot" not in sealed.calls("systemctl")


def test_rpm_systems_are_told_to_go_beyond_what_they_have(sealed: Machine, coordinator: Coordinator) -> None:
    sealed.seed(coordinator.root.pem(), ENROL, PACKAGE_MANAGER="dnf", KERNEL_PACKAGES="kernel")
    sealed.boot(KERNEL, "apply")
    assert [call.split()[2] for call in sealed.calls("dnf")] == ["install", "update"]


def test_a_failed_installation_is_tried_again_and_nothing_restarts(sealed: Machine) -> None:
    sealed.write("usr/local/sbin/apt-get", "#!/bin/sh\nexit 100\n", 0o755)
    assert sealed.boot(KERNEL, "apply")[0] not in {0, 10, 20}
    assert "reboot" not in sealed.calls("systemctl")
    assert sealed.boot(KERNEL, "check")[0] != 0


def test_a_reinstalled_machine_upgrades_again(sealed: Machine, coordinator: Coordinator) -> None:
    sealed.boot(KERNEL, "apply")
    sealed.seed(coordinator.root.pem(), ENROL, GENERATION="2")
    assert sealed.boot(KERNEL, "check")[0] != 0


def test_without_a_wish_the_stage_is_skipped(sealed: Machine, coordinator: Coordinator) -> None:
    sealed.seed(coordinator.root.pem(), ENROL, KERNEL_PACKAGES="")
    assert sealed.boot(KERNEL, "check")[0] == 10
