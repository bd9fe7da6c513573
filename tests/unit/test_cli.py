"""The command as people and scripts use it: exit statuses, words, JSON, and never a traceback or a secret."""

import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from passlib.hash import sha512_crypt

from generator import cli, workspace
from generator.errors import ExitCode
from generator.iso import FILES
from tests.bench.spec import big_spec

ROOT = Path(__file__).resolve().parents[2]
HA = str(ROOT / "profiles/cluster/ha.yaml")
MINIMAL = str(ROOT / "profiles/cluster/minimal.yaml")
# Modules that take longer to import than the rest of the program.
HEAVY = {
    "cryptography",
    "jinja2",
    "markdown_it",
    "passlib",
    "pycdlib",
    "pydantic",
    "requests",
    "rich",
    "starlette",
    "yaml",
}


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


Kubeseed = Callable[..., Done]


@pytest.fixture
def kubeseed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Kubeseed:
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: object) -> Done:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(word) for word in words])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        return Done(int(str(ended.value.code or 0)), printed.out, printed.err)

    return run


def test_generate_says_what_each_node_needs(kubeseed: Kubeseed, tmp_path: Path) -> None:
    first = kubeseed("generate", HA, "-o", tmp_path / "out")
    assert first.status == ExitCode.GOOD
    assert re.findall(r"^(\w+) .*\bnew\b", first.out, re.MULTILINE) == ["m1", "m2", "m3", "w1", "w2"]
    assert "5 of 5 nodes concerned" in first.out
    steps = first.out.partition("next:")[2]
    assert re.findall(r"^  (\w+) ", steps, re.MULTILINE) == ["serve", "watch", "disc", "URL", "PXE", "try"]
    assert f"\n  disc   kubeseed iso {tmp_path}/out\n" in steps
    assert "\n  URL    ds=nocloud-net;s=http://192.168.77.2:8080/seed/NODE/\n" in steps
    again = kubeseed("generate", HA, "-o", tmp_path / "out")
    assert "0 files written, 0 removed, 0 of 5 nodes concerned" in again.out


def test_what_to_type_next_is_quoted(kubeseed: Kubeseed, tmp_path: Path) -> None:
    out = tmp_path / "my out"
    assert f"  serve  kubeseed serve '{out}'\n" in kubeseed("generate", MINIMAL, "-o", out).out
    assert kubeseed("new", tmp_path / "a b.yaml").out.endswith(f"kubeseed validate '{tmp_path}/a b.yaml'\n")


def test_generate_json(kubeseed: Kubeseed, tmp_path: Path) -> None:
    told = json.loads(kubeseed("generate", MINIMAL, "-o", tmp_path / "out", "--json").out)
    assert told["nodes"] == [{"node": "m1", "effect": "new", "files": []}]
    assert told["removed"] == 0


def test_reinstall_gives_one_node_a_new_seed(kubeseed: Kubeseed, tmp_path: Path) -> None:
    kubeseed("generate", HA, "-o", tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out/nodes").rglob("*-data")}
    told = json.loads(kubeseed("generate", HA, "-o", tmp_path / "out", "--reinstall", "w1", "--json").out)
    assert {node["node"]: node["effect"] for node in told["nodes"]}["w1"] == "reinstall"
    assert {node["effect"] for node in told["nodes"] if node["node"] != "w1"} == {"nothing"}
    changed = {path.parent.name for path, data in before.items() if path.read_bytes() != data}
    assert changed == {"w1"}
    assert "GENERATION='2'" in (tmp_path / "out/nodes/w1/user-data").read_text()


def test_an_unknown_node_is_a_wrong_command_line(kubeseed: Kubeseed, tmp_path: Path) -> None:
    done = kubeseed("generate", HA, "-o", tmp_path / "out", "--reinstall", "w11")
    assert done.status == ExitCode.USAGE
    assert "did you mean w1?" in done.err
    assert not (tmp_path / "out").exists()


def test_diff_shows_the_change_and_no_secret(kubeseed: Kubeseed, tmp_path: Path) -> None:
    kubeseed("generate", HA, "-o", tmp_path / "out")
    other = tmp_path / "other.yaml"
    other.write_text(Path(HA).read_text().replace("Etc/UTC", "Europe/Berlin"))
    assert kubeseed("diff", HA, "-o", tmp_path / "out", "--exit-code") == Done(0, "", "")
    done = kubeseed("diff", other, "-o", tmp_path / "out")
    assert done.status == ExitCode.GOOD
    assert "-    TIMEZONE='Etc/UTC'\n+    TIMEZONE='Europe/Berlin'\n" in done.out
    secrets = json.loads((tmp_path / "out/secrets/enrolments.json").read_text())["nodes"].values()
    assert not [node for node in secrets if node["secret"] in done.out]
    assert kubeseed("diff", other, "-o", tmp_path / "out", "--exit-code").status == 1


def test_a_reader_that_goes_away_is_no_error(kubeseed: Kubeseed, tmp_path: Path) -> None:
    kubeseed("generate", HA, "-o", tmp_path / "out")
    other = tmp_path / "other.yaml"
    other.write_text(Path(HA).read_text().replace("Etc/UTC", "Europe/Berlin"))
    program = Path(sys.executable).with_name("kubeseed")
    command = f"{program} diff {other} -o {tmp_path}/out | head -n 1"
    done = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True)
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


def test_a_wrong_spec_is_told_with_its_place(kubeseed: Kubeseed, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(Path(HA).read_text().replace("roles: [worker]", "roles: [werker]"))
    for command in (("validate", wrong), ("generate", wrong, "-o", tmp_path / "out")):
        done = kubeseed(*command)
        assert done.status == ExitCode.SPEC
        assert done.err.count("error") == 2
        assert f"{wrong}:" in done.err
    assert not (tmp_path / "out").exists()
    told = json.loads(kubeseed("validate", wrong, "--json").out)
    assert (told["good"], len(told["problems"])) == (False, 2)


def test_a_good_spec_is_told(kubeseed: Kubeseed) -> None:
    assert kubeseed("validate", HA) == Done(0, f"{HA} is good\n", "")


@pytest.mark.parametrize("words", [["frobnicate"], ["generate"], ["generate", HA], ["generate", HA, "-o"], ["iso"]])
def test_a_wrong_command_line_ends_with_2(kubeseed: Kubeseed, words: list[str]) -> None:
    assert kubeseed(*words).status == ExitCode.USAGE


def test_what_cannot_be_read_or_written_ends_with_3_and_one_sentence(kubeseed: Kubeseed, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for words in (
        ("generate", tmp_path / "missing.yaml", "-o", tmp_path / "out"),
        ("generate", MINIMAL, "-o", tmp_path / "file/out"),
        ("generate", MINIMAL, "-o", tmp_path),
        ("diff", MINIMAL, "-o", tmp_path / "out"),
        ("iso", tmp_path / "out", "-o", tmp_path),
    ):
        done = kubeseed(*words)
        assert done.status == ExitCode.ENVIRONMENT, words
        assert len(done.err.splitlines()) in (1, 2), done.err


def test_what_one_may_not_read_is_the_machines_fault(kubeseed: Kubeseed, tmp_path: Path) -> None:
    out = tmp_path / "out"
    kubeseed("generate", HA, "-o", out)
    out.chmod(0)
    # root has to give up what lets it read everything
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    for words in (
        *(f"generate {HA} -o {out}", f"generate {HA} -o {out}/sub", f"diff {HA} -o {out}", f"iso {out}"),
        *(f"serve {out}", f"status {out}", f"unit {out}", f"audit tail {out}", f"pxe unit {out}", f"vm list {out}"),
        *(f"new {out}/spec.yaml", f"iso {tmp_path}/other -o {out}"),
    ):
        command = [*drop, str(Path(sys.executable).with_name("kubeseed")), *words.split()]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == ExitCode.ENVIRONMENT, (words, done.stderr)
        assert "fault in kubeseed" not in done.stderr, words
        assert len(done.stderr.splitlines()) in (1, 2), done.stderr
    out.chmod(0o700)


def test_a_file_that_could_not_be_written_whole_is_not_left_behind(tmp_path: Path) -> None:
    command = f"ulimit -f 0; {Path(sys.executable).with_name('kubeseed')} new {tmp_path}/spec.yaml"
    done = subprocess.run(["sh", "-c", command], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (ExitCode.ENVIRONMENT, f"{tmp_path}/spec.yaml: error: File too large\n")
    assert list(tmp_path.iterdir()) == []


def test_what_stands_in_the_way_of_a_file_is_named(kubeseed: Kubeseed, tmp_path: Path) -> None:
    out = tmp_path / "out"
    kubeseed("generate", MINIMAL, "-o", out)
    seed = out / "nodes/m1/user-data"
    seed.unlink()
    seed.mkdir()
    told = f"{seed}: error: a folder stands where a file is needed\nhint: move the folder away\n"
    assert kubeseed("generate", MINIMAL, "-o", out) == Done(ExitCode.ENVIRONMENT, "", told)
    seed.rmdir()
    assert kubeseed("generate", MINIMAL, "-o", out).status == ExitCode.GOOD


def test_an_audit_policy_of_ones_own_reaches_the_masters(kubeseed: Kubeseed, tmp_path: Path) -> None:
    spec, policy = tmp_path / "spec.yaml", tmp_path / "policy.yaml"
    audit = "kubernetes: {audit: {enabled: true, policyFile: policy.yaml}}\n"
    spec.write_text(Path(MINIMAL).read_text() + audit)
    assert "no such file" in kubeseed("generate", spec, "-o", tmp_path / "out").err
    policy.write_text("kind: Pod\n")
    assert "not an audit.k8s.io/v1 Policy" in kubeseed("generate", spec, "-o", tmp_path / "out").err
    policy.write_text("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None}] # mine\n")
    assert kubeseed("generate", spec, "-o", tmp_path / "out").status == ExitCode.GOOD
    fetched = tmp_path / "out/coordinator/files/master/audit-policy.yaml"
    assert fetched.read_bytes() == policy.read_bytes()


def test_lost_secrets_are_never_made_anew(kubeseed: Kubeseed, tmp_path: Path) -> None:
    kubeseed("generate", MINIMAL, "-o", tmp_path / "out")
    for path in (tmp_path / "out/secrets").iterdir():
        path.unlink()
    done = kubeseed("generate", MINIMAL, "-o", tmp_path / "out")
    assert done.status == ExitCode.ENVIRONMENT
    assert "the cluster's secrets are gone" in done.err


def test_spoilt_secrets_are_named_with_their_folder(kubeseed: Kubeseed, tmp_path: Path) -> None:
    kubeseed("generate", MINIMAL, "-o", tmp_path / "out")
    (tmp_path / "out/secrets/enrolments.json").write_text("sesame")
    done = kubeseed("generate", MINIMAL, "-o", tmp_path / "out")
    told = f"{tmp_path}/out/secrets/enrolments.json: error: the cluster's secrets cannot be read"
    assert (done.status, done.err.splitlines()[0]) == (ExitCode.ENVIRONMENT, told)


def test_a_fault_of_kubeseed_is_one_sentence_without_its_message(
    kubeseed: Kubeseed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("sesame")

    monkeypatch.setattr(workspace, "prepare", broken)
    done = kubeseed("generate", MINIMAL, "-o", tmp_path / "out")
    assert done.status == ExitCode.ENVIRONMENT
    assert "ZeroDivisionError" in done.err
    assert "sesame" not in done.err
    monkeypatch.setenv(cli.DEBUG, "1")
    with pytest.raises(ZeroDivisionError, match="sesame"):
        cli.main(["generate", MINIMAL, "-o", str(tmp_path / "out")])


def test_discs_are_made_for_the_nodes_asked_for(kubeseed: Kubeseed, tmp_path: Path) -> None:
    kubeseed("generate", HA, "-o", tmp_path / "out")
    done = kubeseed("iso", tmp_path / "out", "m1", "w2", "-o", tmp_path / "discs")
    assert done.status == ExitCode.GOOD
    assert {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "discs").iterdir()} == {
        "m1.iso": 0o600,
        "w2.iso": 0o600,
    }
    assert kubeseed("iso", tmp_path / "out", "-o", tmp_path / "discs").status == ExitCode.GOOD
    assert len(list((tmp_path / "discs").iterdir())) == 5
    assert kubeseed("iso", tmp_path / "out", "../m1", "-o", tmp_path / "discs").status == ExitCode.USAGE


def test_discs_go_below_the_folder_when_nothing_else_is_said(kubeseed: Kubeseed, tmp_path: Path) -> None:
    out = tmp_path / "out"
    kubeseed("generate", HA, "-o", out)
    assert kubeseed("iso", out, "m1").out == f"{out}/discs/m1.iso\n"
    assert (out / "discs/m1.iso").stat().st_mode & 0o777 == 0o600
    assert "0 files written, 0 removed" in kubeseed("generate", HA, "-o", out).out
    assert (out / "discs/m1.iso").exists()


@pytest.mark.parametrize("words", ["new", "validate profiles/cluster/ha.yaml", "schema", "profiles"])
def test_an_output_that_is_full_or_closed_is_no_fault_of_kubeseed(words: str) -> None:
    command = f"{Path(sys.executable).with_name('kubeseed')} {words}"
    full = subprocess.run(["sh", "-c", f"{command} > /dev/full"], check=False, capture_output=True, text=True, cwd=ROOT)
    told = "error: reading or writing failed: No space left on device\n"
    assert (full.returncode, full.stderr) == (ExitCode.ENVIRONMENT, told)
    closed = subprocess.run(["sh", "-c", f"{command} >&-"], check=False, capture_output=True, text=True, cwd=ROOT)
    assert (closed.returncode, closed.stderr) == (ExitCode.GOOD, "")


def test_seeds_have_their_four_files(kubeseed: Kubeseed, tmp_path: Path) -> None:
    kubeseed("generate", MINIMAL, "-o", tmp_path / "out")
    assert set(workspace.read_seed(tmp_path / "out", "m1")) == set(FILES)
    assert {path.name for path in (tmp_path / "out/pxe/seed/m1").iterdir()} == set(FILES)


def test_a_password_is_hashed_from_standard_input(kubeseed: Kubeseed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    done = kubeseed("hash-password")
    assert sha512_crypt.verify("correct horse", done.out.strip())
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert kubeseed("hash-password").status == ExitCode.USAGE
    assert kubeseed("hash-password", "correct horse").status == ExitCode.USAGE


def answer(*answers: str) -> tuple[int, str]:
    """Runs hash-password on a terminal and types an answer at each prompt; its exit status and all it showed."""
    here, there = pty.openpty()
    command = [str(Path(sys.executable).with_name("kubeseed")), "hash-password"]
    with subprocess.Popen(command, stdin=there, stdout=there, stderr=there, start_new_session=True) as asked:
        os.close(there)
        shown = ""
        for typed in answers:
            while not shown.endswith(": "):
                shown += os.read(here, 999).decode()
            os.write(here, f"{typed}\n".encode())
            shown += "\n"
        with suppress(OSError):  # Linux' way to say that the other end is closed
            while part := os.read(here, 999):
                shown += part.decode()
    os.close(here)
    return asked.returncode, shown


def test_a_password_is_asked_for_twice_and_not_shown() -> None:
    status, shown = answer("correct horse", "correct horse")
    assert (status, "correct horse" in shown) == (ExitCode.GOOD, False)
    assert sha512_crypt.verify("correct horse", shown.split()[-1])
    status, shown = answer("correct horse", "wrong horse")
    assert (status, "the two passwords differ" in shown) == (ExitCode.USAGE, True)


def test_a_new_spec_is_good_and_never_replaces_one(kubeseed: Kubeseed, tmp_path: Path) -> None:
    assert kubeseed("new", tmp_path / "a.yaml", "--example", "ha").status == ExitCode.GOOD
    assert (tmp_path / "a.yaml").read_text() == Path(HA).read_text()
    assert kubeseed("new", tmp_path / "a.yaml").status == ExitCode.ENVIRONMENT
    assert kubeseed("new").out == kubeseed("new", "-").out == Path(MINIMAL).read_text()
    assert "did you mean minimal?" in kubeseed("new", "--example", "minimall").err


def test_tables_have_json_beside_them(kubeseed: Kubeseed) -> None:
    assert "debian-12" in kubeseed("profiles").out
    assert "debian-12" in {profile["id"] for profile in json.loads(kubeseed("profiles", "--json").out)}
    assert json.loads(kubeseed("schema").out)["properties"]["nodes"]


def test_every_command_that_reads_the_folder_finishes_what_was_cut_short(kubeseed: Kubeseed, tmp_path: Path) -> None:
    out = tmp_path / "out"
    kubeseed("generate", MINIMAL, "-o", out)
    (out / ".new/tree/nodes/m1").mkdir(parents=True)
    (out / ".new/tree/nodes/m1/meta-data").write_text("finished\n")
    (out / ".new/manifest.json").write_bytes((out / "manifest.json").read_bytes())
    (out / ".new/COMMIT").touch()
    assert kubeseed("audit", "tail", out).status == ExitCode.ENVIRONMENT  # no coordinator ever ran here
    assert (out / "nodes/m1/meta-data").read_text() == "finished\n"
    assert not (out / ".new").exists()


def test_a_bar_is_shown_on_a_terminal_only(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(big_spec(60))
    program = Path(sys.executable).with_name("kubeseed")
    command = f"{program} generate {spec} -o {tmp_path}/out"
    seen = subprocess.run(
        ["script", "-qec", command, "/dev/null"], check=True, capture_output=True, text=True, env={"TERM": "xterm"}
    ).stdout
    assert "generating" in seen
    shutil.rmtree(tmp_path / "out")
    piped = subprocess.run(command.split(), check=True, capture_output=True, text=True)
    assert (piped.stderr, "\x1b" in piped.stdout) == ("", False)
    assert "60 of 60 nodes concerned" in piped.stdout


@pytest.mark.parametrize("group", ["", "node", "audit", "backup", "vm", "image", "pxe", "import"])
def test_the_help_cuts_no_sentence_off(kubeseed: Kubeseed, monkeypatch: pytest.MonkeyPatch, group: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = kubeseed(*group.split(), "--help").out
    assert "Commands:" in text
    assert [line for line in text.partition("Commands:")[2].splitlines() if line.endswith("...")] == []


def test_help_and_version_import_nothing_heavy() -> None:
    code = "import sys\nfrom generator.cli import main\ntry: main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "hash-password" in done.stdout
    assert HEAVY & set(done.stdout.splitlines()[-1].split()) == set()


def test_the_program_is_installed_and_prints_its_version() -> None:
    program = Path(sys.executable).with_name("kubeseed")
    done = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", done.stdout)
