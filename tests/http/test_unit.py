"""The systemd unit: systemd itself reads it and judges what it may do."""

import subprocess
from pathlib import Path

import pytest

from http_server.unit import systemd_unit
from tests.http.process import free_port, fresh_out, run_command

PROGRAM = Path("/bin/true")  # `verify` wants one that is there
MOST_EXPOSED = 20  # of 100; what is left is the network, and resource limits that `serve` sets for itself


def unit(out: str = "/var/lib/kubeseed/out", *options: str, keyring: Path | None = None, port: int = 8443) -> str:
    return systemd_unit(PROGRAM, Path(out), options, "root", keyring, [port])


def judged(text: str, folder: Path) -> None:
    path = folder / "kubeseed-coordinator.service"
    path.write_text(text)
    verified = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    words = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", str(path)]
    security = subprocess.run(words, capture_output=True, text=True, check=False)
    assert security.returncode == 0, security.stdout


@pytest.mark.parametrize("out", ["/var/lib/kubeseed/out", "/home/ann/my cluster", "/srv/100%/$x", '/srv/a "b"'])
def test_systemd_takes_it(tmp_path: Path, out: str) -> None:
    judged(unit(out, "--workers", "4", "--store", "etcd:https://a:2379"), tmp_path)


def test_words_of_the_command_line_stay_words() -> None:
    lines = unit("/home/ann/my $cluster 100%").splitlines()
    assert 'ExecStart=/bin/true serve "/home/ann/my $$cluster 100%%"' in lines
    assert 'BindPaths="/home/ann/my $cluster 100%%"' in lines
    assert "ProtectHome=tmpfs" in lines


def test_low_ports_get_the_one_capability() -> None:
    assert "CapabilityBoundingSet=CAP_NET_BIND_SERVICE" in unit(port=443)
    assert "CapabilityBoundingSet=\n" in unit(port=8443)


def test_the_key_comes_as_a_credential(tmp_path: Path) -> None:
    assert "LoadCredentialEncrypted=keyring.key:/etc/k.cred\n" in unit(keyring=Path("/etc/k.cred"))
    plain = unit(keyring=Path("/etc/k"))
    assert "LoadCredential=keyring.key:/etc/k\n" in plain
    judged(plain, tmp_path)


def test_the_command_prints_it(tmp_path: Path) -> None:
    out = fresh_out(tmp_path, free_port())
    words = ["unit", str(out.root), "--user", "ann", "--", "--boot-listen", "0.0.0.0:80", "--workers", "2"]
    done = run_command(*words)
    assert done.returncode == 0, done.stderr
    assert f"serve {out.root} --boot-listen 0.0.0.0:80 --workers 2\n" in done.stdout
    assert "User=ann\n" in done.stdout
    assert "CapabilityBoundingSet=CAP_NET_BIND_SERVICE" in done.stdout
    assert run_command("unit", str(tmp_path / "nothing")).returncode == 3
