"""The disc that carries a seed: found by its label, read by every name, the same bytes each time."""

import io
import subprocess
import time
from pathlib import Path

import pycdlib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.iso import FILES, seed_iso

SEED = {name: f"{name}\n".encode() * 999 for name in FILES} | {"vendor-data": b""}


def read(disc: bytes, **path: str) -> bytes:
    image = pycdlib.PyCdlib()
    image.open_fp(io.BytesIO(disc))
    data = io.BytesIO()
    image.get_file_from_iso_fp(data, **path)
    image.close()
    return data.getvalue()


@given(st.fixed_dictionaries({name: st.binary(max_size=5000) for name in FILES}))
def test_every_file_comes_back_by_both_names(files: dict[str, bytes]) -> None:
    disc = seed_iso(files)
    for name, data in files.items():
        assert read(disc, joliet_path=f"/{name}") == data
        assert read(disc, rr_path=f"/{name}") == data


def test_the_label_is_where_blkid_looks(tmp_path: Path) -> None:
    (tmp_path / "seed.iso").write_bytes(seed_iso(SEED))
    told = subprocess.run(
        ["blkid", "-p", "-o", "export", str(tmp_path / "seed.iso")], check=True, capture_output=True, text=True
    ).stdout
    assert "LABEL=CIDATA" in told
    assert "TYPE=iso9660" in told


def test_the_kernel_reads_it(tmp_path: Path) -> None:
    (tmp_path / "seed.iso").write_bytes(seed_iso(SEED))
    (tmp_path / "disc").mkdir()
    mount = ["mount", "-o", "loop,ro", str(tmp_path / "seed.iso"), str(tmp_path / "disc")]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a disc here: {mounted.stderr.strip()}")
    try:
        found = {path.name: (path.read_bytes(), path.stat().st_mode & 0o777) for path in (tmp_path / "disc").iterdir()}
    finally:
        subprocess.run(["umount", str(tmp_path / "disc")], check=True)
    assert found == {name: (data, 0o400) for name, data in SEED.items()}


def test_the_same_seed_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    first = seed_iso(SEED)
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    time.sleep(1.1)
    assert seed_iso(SEED) == first
    assert seed_iso({**SEED, "meta-data": b"other"}) != first


def test_the_clock_goes_on_afterwards() -> None:
    seed_iso(SEED)
    assert vars(pycdlib.headervd)["time"] is time
