"""The command lines of QEMU and nspawn: what must be there, and that no secret is."""

from ipaddress import IPv4Network
from itertools import pairwise
from pathlib import Path

import pytest

from generator.vm import nspawn, qemu
from generator.vm.image import Image
from generator.vm.machine import Acceleration, Machine, Size
from generator.vm.network import Bridge, UserNetwork
from generator.vm.nspawn import Nspawn
from generator.vm.qemu import Qemu
from generator.vm.seed import LocalSeed, UrlSeed

MACHINE = Machine("m1", "52:54:00:00:00:11", Path("/out/vm/m1"), Size(2048, 2))
USER = UserNetwork(IPv4Network("192.168.77.0/24"), "192.168.77.2")
LOCAL = LocalSeed(Path("/out/nodes/m1"))
URL = UrlSeed("http://192.168.77.2:8080/seed/m1/")
DISK = Image(disk=Path("/images/debian.qcow2"), disk_format="qcow2")


def pairs(command: list[str], option: str) -> list[str]:
    return [value for name, value in pairwise(command) if name == option]


def test_qemu_gets_the_nodes_card_size_and_disk() -> None:
    command = qemu.command(Qemu(DISK, USER, Acceleration.TCG), MACHINE, LOCAL, None)
    assert pairs(command, "-m") == ["2048"]
    assert pairs(command, "-smp") == ["2"]
    assert "virtio-net-pci,netdev=net0,mac=52:54:00:00:00:11" in pairs(command, "-device")
    assert pairs(command, "-netdev") == ["user,id=net0,net=192.168.77.0/24,host=192.168.77.2"]
    assert pairs(command, "-accel") == ["tcg,thread=multi"]
    assert [drive.split(",")[0] for drive in pairs(command, "-drive")] == ["file=disk.qcow2", "file=seed.iso"]


def test_qemu_gets_the_tap_of_a_bridge() -> None:
    command = qemu.command(Qemu(DISK, Bridge("br0"), Acceleration.KVM), MACHINE, LOCAL, 7)
    assert pairs(command, "-netdev") == ["tap,id=net0,fd=7"]
    assert pairs(command, "-accel") == ["kvm"]


def test_a_url_travels_in_the_serial_number_and_no_seed_disk_is_there() -> None:
    command = qemu.command(Qemu(DISK, USER, Acceleration.TCG), MACHINE, URL, None)
    assert pairs(command, "-smbios") == ["type=1,serial=ds=nocloud-net;s=http://192.168.77.2:8080/seed/m1/"]
    assert not any("seed.iso" in word for word in command)


def test_a_comma_in_a_url_is_doubled() -> None:
    command = qemu.command(Qemu(DISK, USER, Acceleration.TCG), MACHINE, UrlSeed("http://boot/a,b/"), None)
    assert pairs(command, "-smbios") == ["type=1,serial=ds=nocloud-net;s=http://boot/a,,b/"]


def test_an_image_with_a_kernel_needs_no_boot_loader() -> None:
    image = Image(DISK.disk, "raw", Path("/i/vmlinuz"), Path("/i/initrd.img"), "root=LABEL=root rw")
    command = qemu.command(Qemu(image, USER, Acceleration.TCG), MACHINE, LOCAL, None)
    assert (pairs(command, "-kernel"), pairs(command, "-append")) == (["/i/vmlinuz"], ["root=LABEL=root rw"])
    assert "-kernel" not in qemu.command(Qemu(DISK, USER, Acceleration.TCG), MACHINE, LOCAL, None)


def test_the_firmware_tells_two_machines_apart_and_one_machine_always_the_same() -> None:
    other = Machine("m1", "52:54:00:00:00:12", MACHINE.home, MACHINE.size)
    again = Machine("renamed", MACHINE.mac, Path("/elsewhere"), Size(1, 1))
    assert MACHINE.uuid == again.uuid != other.uuid


def test_a_container_keeps_the_hosts_clock_and_modules() -> None:
    command = nspawn.command("ks-12345678", MACHINE, LOCAL)
    assert "--drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE" in command
    assert "--hostname=m1" in command
    assert command[:2] == ["nsenter", "--net=/run/netns/ks-12345678"]


def test_a_containers_systemd_is_told_the_url() -> None:
    assert nspawn.command("ks-1", MACHINE, URL)[-1] == "ds=nocloud-net;s=http://192.168.77.2:8080/seed/m1/"
    assert not any(word.startswith("ds=") for word in nspawn.command("ks-1", MACHINE, LOCAL))


@pytest.mark.parametrize("node", ["m1", "a-node-name-of-fifty-two-characters-is-still-allowed"])
def test_a_containers_link_has_a_name_that_linux_takes(node: str, tmp_path: Path) -> None:
    assert len(nspawn.host_name(tmp_path / node)) <= 15


def test_two_folders_have_two_links(tmp_path: Path) -> None:
    assert nspawn.host_name(tmp_path / "a/vm/m1") != nspawn.host_name(tmp_path / "b/vm/m1")


def test_a_container_is_made_from_the_image_and_its_seed(tmp_path: Path) -> None:
    """Real files: what the container's systemd and cloud-init will read."""
    (tmp_path / "image/etc").mkdir(parents=True)
    (tmp_path / "image/etc/fstab").write_text("LABEL=root / ext4\n")
    (tmp_path / "seed").mkdir()
    (tmp_path / "seed/user-data").write_text("#cloud-config\n")
    (tmp_path / "home").mkdir()
    machine = Machine("m1", MACHINE.mac, tmp_path / "home", MACHINE.size)
    driver = Nspawn(Image(root=tmp_path / "image"), Bridge("br0"))
    driver.prepare(machine, LocalSeed(tmp_path / "seed"))
    root = tmp_path / "home/root"
    seed = root / "var/lib/cloud/seed/nocloud/user-data"
    assert (seed.read_text(), seed.stat().st_mode & 0o777) == ("#cloud-config\n", 0o600)
    assert not (root / "etc/fstab").exists()
    assert (tmp_path / "image/etc/fstab").exists()
    wanted = root / "etc/systemd/system/sysinit.target.wants/kubeseed-vm.service"
    assert wanted.resolve().read_text().startswith("[Unit]")
    assert (root / "usr/local/lib/kubeseed-vm/prepare").stat().st_mode & 0o111

    (root / "kept").touch()
    driver.prepare(machine, LocalSeed(tmp_path / "seed"))
    assert (root / "kept").exists()


@pytest.mark.parametrize(
    ("address", "coordinator", "host"),
    [
        ("192.168.77.11", "192.168.77.2", "192.168.77.2"),
        ("10.1.2.3", "192.168.77.2", "10.1.2.1"),
        ("10.1.2.3", "boot.example.org", "10.1.2.1"),
    ],
)
def test_the_user_network_puts_this_host_where_the_node_looks(address: str, coordinator: str, host: str) -> None:
    assert UserNetwork.around(address, coordinator).host == host
