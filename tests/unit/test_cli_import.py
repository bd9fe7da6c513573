"""`kubeseed import kubeadm-ha`, `profiles` and long lists of problems, as people and scripts see them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from generator.errors import ExitCode
from tests.unit.test_cli import HA, Kubeseed, kubeseed

__all__ = ["kubeseed"]  # a fixture
DATA = Path(__file__).resolve().parents[1] / "data" / "kubeadm-ha"
FILES = (DATA / "hosts.ini", DATA / "variables.yaml")


def test_an_inventory_becomes_a_spec_that_validates(kubeseed: Kubeseed, tmp_path: Path) -> None:
    spec = tmp_path / "cluster.yaml"
    done = kubeseed("import", "kubeadm-ha", *FILES, "-o", spec, "--coordinator", "https://10.77.0.2:8443")
    assert done.status == ExitCode.GOOD
    assert f"next: edit what is marked (1) to (4), then: kubeseed validate {spec}" in done.out
    assert re.search(r"hosts.ini:44: warning: lb_keepalived_password: ", done.err)
    assert "planted" not in done.out + done.err + spec.read_text()
    assert kubeseed("validate", spec).status == ExitCode.GOOD
    again = kubeseed("import", "kubeadm-ha", *FILES, "-o", spec)
    assert (again.status, "the file is there already" in again.err) == (ExitCode.ENVIRONMENT, True)


def test_the_spec_goes_to_standard_output_and_warnings_do_not(kubeseed: Kubeseed) -> None:
    done = kubeseed("import", "kubeadm-ha", *FILES)
    assert done.status == ExitCode.GOOD
    assert done.out.startswith("# Imported from kubeadm-ha.")
    assert "kind: Cluster\n" in done.out
    assert "warning:" not in done.out


def test_an_inventory_of_a_wrong_cluster_is_written_and_told(kubeseed: Kubeseed, tmp_path: Path) -> None:
    hosts, spec = tmp_path / "hosts.ini", tmp_path / "cluster.yaml"
    hosts.write_text("[etcd]\n10.0.0.1\n10.0.0.2\n[kube-master]\n10.0.0.1\n")
    done = kubeseed("import", "kubeadm-ha", hosts, "-o", spec)
    assert done.status == ExitCode.SPEC
    assert "etcd has 2 members, an even number" in done.err
    assert spec.exists()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("absent.ini",), ExitCode.ENVIRONMENT, "cannot read the inventory"),
        ((HA,), ExitCode.SPEC, "no [group] is in this inventory"),
        ((FILES[0], "--os", "debian-1"), ExitCode.USAGE, "there is no profile 'debian-1'"),
        ((FILES[0], "--coordinator", "http://10.0.0.1"), ExitCode.USAGE, "is not an https URL"),
        ((FILES[0], "--name", "No Name"), ExitCode.USAGE, "is not a name of this kind"),
    ],
)
def test_what_cannot_be_imported(kubeseed: Kubeseed, words: tuple[object, ...], status: ExitCode, said: str) -> None:
    done = kubeseed("import", "kubeadm-ha", *words)
    assert (done.status, done.out) == (status, "")
    assert said in done.err


def test_profiles_tell_how_far_each_is_proven(kubeseed: Kubeseed) -> None:
    table = kubeseed("profiles").out
    assert re.search(r"^debian-12 .* (booted|judged|rendered)$", table, re.MULTILINE)
    assert "rendered: everything is written" in table
    proof = kubeseed("profiles", "--proof").out
    assert re.search(r"^debian-12 +rendered +\d{4}-\d\d-\d\d .* tests/unit/", proof, re.MULTILINE)
    told = {profile["id"]: profile["proven"] for profile in json.loads(kubeseed("profiles", "--json").out)}
    assert {"rendered"} <= {claim["level"] for claim in told["rocky-9"]}


def test_more_problems_than_a_person_mends_are_counted(kubeseed: Kubeseed, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    nodes = "".join(f"- {{name: w{number}, roles: [wroker], address: 10.0.0.9}}\n" for number in range(120))
    spec.write_text(Path(HA).read_text() + nodes)
    done = kubeseed("validate", spec)
    assert done.err.count("error:") == 50
    assert done.err.endswith("... and 70 more problems; mend these first\n")
    assert len(json.loads(kubeseed("validate", spec, "--json").out)["problems"]) == 120


def test_an_unreadable_spec_is_the_environments_fault(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(Path(HA).read_text())
    spec.chmod(0)
    if os.geteuid() == 0:
        tmp_path.chmod(0o755)
        pytest.skip("root reads everything")
    command = [str(Path(sys.executable).with_name("kubeseed")), "validate", str(spec)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "cannot read the spec: Permission denied" in done.stderr) == (ExitCode.ENVIRONMENT, True)


def test_a_table_in_a_pipe_has_no_padding(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("kubeseed")), "generate", HA, "-o", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if line != line.rstrip()] == []
