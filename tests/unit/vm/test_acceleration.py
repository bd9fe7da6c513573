"""KVM has to prove itself: the guest that it is asked to run is what its listing says, and it does come back."""

import shutil
import subprocess
from pathlib import Path

import pytest

from generator.errors import LocalError
from generator.vm import acceleration
from generator.vm.acceleration import BOOT_SECTOR, answers, choose
from generator.vm.machine import Acceleration

LISTING = Path(acceleration.__file__).with_name("probe.S")


@pytest.mark.judge
def test_the_boot_sector_is_its_listing(tmp_path: Path) -> None:
    if not shutil.which("as"):
        pytest.skip("there is no assembler (package binutils)")
    subprocess.run(["as", "--64", "-o", tmp_path / "probe.o", LISTING], check=True)
    link: list[str | Path] = [
        "ld",
        "-Ttext",
        "0x7c00",
        "--oformat",
        "binary",
        "-o",
        tmp_path / "probe",
        tmp_path / "probe.o",
    ]
    subprocess.run(link, check=True)
    assert (tmp_path / "probe").read_bytes() == BOOT_SECTOR


@pytest.mark.judge
def test_the_guest_comes_back_where_instructions_are_emulated() -> None:
    if not shutil.which(acceleration.QEMU):
        pytest.skip("QEMU is not installed (package qemu-system-x86)")
    assert answers(Acceleration.TCG, seconds=30)


@pytest.mark.judge
def test_a_guest_that_does_not_come_back_is_given_up() -> None:
    if not shutil.which(acceleration.QEMU):
        pytest.skip("QEMU is not installed (package qemu-system-x86)")
    assert not answers(Acceleration.TCG, seconds=0.001)


def test_without_the_device_there_is_no_kvm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(acceleration, "KVM", tmp_path / "kvm")
    assert choose(Acceleration.AUTO) is Acceleration.TCG
    with pytest.raises(LocalError, match="--accel tcg"):
        choose(Acceleration.KVM)


def test_tcg_is_taken_when_it_is_asked_for() -> None:
    assert choose(Acceleration.TCG) is Acceleration.TCG
