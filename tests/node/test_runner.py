"""The runner: order, reports, waiting, power cuts, stopping."""

import re
import stat
import time
from hashlib import sha256
from pathlib import Path

import pytest

from tests.node.coordinator import ENROL, SECRET, Answer, Asked, Coordinator, in_turn, refusal
from tests.node.machine import Machine, arguments_and_environments

STAGES = ("preflight", "clock", "enrol", "files", "base", "scrub")
KUBESEED = "/usr/local/lib/kubeseed"


def reported(state: str) -> list[str]:
    return [f"{stage} {state}" for stage in STAGES]


def ends(reports: list[str]) -> list[str]:
    """Without the words on stages at work, which are sent only of those that take their time."""
    return [word for word in reports if not word.endswith(" started")]


def stage(machine: Machine, name: str, body: str) -> None:
    """Replaces a stage by one whose phases the test writes."""
    machine.write(f"{KUBESEED}/stage/{name}", f'#!/bin/sh\nset -eu\n. {KUBESEED}/lib.sh\n{body}\n"$1"\n', 0o755)


@pytest.mark.parametrize("shell", ["dash", "busybox", "bash"])
def test_runs_every_stage_in_order_and_switches_itself_off(
    machine: Machine, coordinator: Coordinator, shell: str
) -> None:
    machine.shell = shell
    status, output = machine.boot()
    lines = [line for line in output.splitlines() if not line.endswith(" ... ")]
    assert status == 0, output
    assert [line.split(" ...")[0] for line in lines[:6]] == [f"[ {n}/6] {name}" for n, name in enumerate(STAGES, 1)]
    assert lines[6] == "kubeseed: m1 is ready, all 6 stages are done"
    assert ends(coordinator.reports()) == reported("done")
    assert "disable kubeseed-firstboot.service" in machine.calls("systemctl")
    assert machine.boot() == (0, "kubeseed: m1 is ready since before\n")


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("phase", ["check", "apply", "verify"])
def test_a_power_cut_in_any_phase_is_made_good_by_the_next_boot(
    machine: Machine, coordinator: Coordinator, name: str, phase: str
) -> None:
    script = f"{KUBESEED}/stage/{name}"
    whole = machine.read(script)
    hang = f'[ "$1" != {phase} ] || {{ touch /var/stand-in/reached; exec /usr/bin/sleep 60; }}'
    machine.write(script, whole.replace("set -eu\n", f"set -eu\n{hang}\n"), 0o755)
    machine.start()
    reached = wait_for(machine, "var/stand-in/reached", seconds=2 if (name, phase) in SKIPS_APPLY else 15)
    machine.cut_power()
    machine.write(script, whole, 0o755)
    status, output = machine.boot()
    assert status == 0, output
    assert reached or (name, phase) in SKIPS_APPLY
    assert machine.read("var/lib/kubeseed/done").split() == ["1", "0"]
    assert len(set(coordinator.digests)) == 1
    assert not list(machine.path("etc").rglob("*.kubeseed-new"))


# A check that finds the work done leaves nothing to apply.
SKIPS_APPLY = {("preflight", "apply"), ("preflight", "verify"), ("clock", "apply"), ("clock", "verify")}


def wait_for(machine: Machine, name: str, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not machine.path(name).exists():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_repeated_power_cuts_at_random_moments_lose_nothing(machine: Machine, coordinator: Coordinator) -> None:
    for tenth in range(1, 14, 2):
        machine.start()
        time.sleep(tenth / 10)
        machine.cut_power()
    status, output = machine.boot()
    assert status == 0, output
    assert len(set(coordinator.digests)) == 1
    assert set(reported("done")) <= set(coordinator.reports())


# Remembers the contents that were made durable, by their digest.
SYNC = """#!/bin/sh
for file; do [ ! -f "$file" ] || : >"/var/stand-in/durable-$(sha256sum <"$file" | cut -c1-64)"; done
"""


def test_a_power_cut_that_empties_what_was_not_durable_loses_no_report(
    machine: Machine, coordinator: Coordinator
) -> None:
    """A file system may keep a new file's name and lose its content."""
    machine.write("usr/local/sbin/sync", SYNC, 0o755)
    base = machine.read(f"{KUBESEED}/stage/base")
    stage(machine, "base", "apply() { touch /var/stand-in/reached; exec /usr/bin/sleep 60; }")
    coordinator.rules["/v1/reports"] = lambda _: refusal(503, "busy")
    machine.start()
    assert wait_for(machine, "var/stand-in/reached", seconds=30)
    machine.cut_power()
    queue = [path for path in machine.path("var/lib/kubeseed/report").iterdir() if path.is_file()]
    for path in queue:
        if not machine.path(f"var/stand-in/durable-{sha256(path.read_bytes()).hexdigest()}").exists():
            path.write_bytes(b"")
    machine.write(f"{KUBESEED}/stage/base", base, 0o755)
    coordinator.asked.clear()
    coordinator.rules["/v1/reports"] = lambda _: Answer()
    status, output = machine.boot()
    assert status == 0, output
    last_words = dict(word.split() for word in coordinator.reports())
    assert last_words == dict.fromkeys(STAGES, "done")


def test_a_failure_is_tried_again_with_its_log_in_the_report(machine: Machine, coordinator: Coordinator) -> None:
    stage(
        machine,
        "base",
        'apply() { echo "mirror is down"; [ -e /var/up ] || { : >/var/up; exit 1; }; }\nverify() { :; }',
    )
    status, output = machine.boot()
    assert status == 0, output
    assert "[ 5/6] base ... failed (attempt 1), again in " in output
    assert "s: mirror is down" in output
    words = [word for word in coordinator.reports() if "base" in word]
    assert ends(words) == ["base failed", "base done"]
    failed = next(ask.form for ask in coordinator.asked if ask.form.get("state") == ["failed"])
    assert (failed["attempt"], failed["log"]) == (["1"], ["mirror is down\n"])


def test_waits_longer_and_longer_but_at_most_two_minutes(machine: Machine, coordinator: Coordinator) -> None:
    stage(machine, "base", 'apply() { echo x >>/var/tries; [ "$(wc -l </var/tries)" -gt 24 ]; }\nverify() { :; }')
    status, output = machine.boot()
    waits = [int(wait) for wait in re.findall(r"again in (\d+) s", output)]
    assert status == 0, output
    assert len(waits) == 24
    assert set(map(str, waits)) <= set(machine.calls("sleep"))
    assert all(1 <= wait <= 120 for wait in waits)
    assert len(set(waits)) > 5
    assert max(waits[:3]) <= 8


def test_honours_retry_after(machine: Machine, coordinator: Coordinator) -> None:
    files = coordinator.rules["/v1/files"]
    coordinator.rules["/v1/files"] = in_turn(refusal(503, "busy", Retry_After="77"), files)
    status, output = machine.boot()
    assert status == 0, output
    assert "77" in machine.calls("sleep")


def test_every_fifth_failure_starts_from_the_top(machine: Machine, coordinator: Coordinator) -> None:
    stage(machine, "base", 'apply() { [ "$(cat /etc/kubeseed/files/hosts)" = "good" ]; }\nverify() { :; }')
    good = Coordinator(machine.root, {"hosts": "good"}).files
    failures: list[Asked] = []

    def hear(asked: Asked) -> Answer:
        if asked.form["state"] == ["failed"]:
            failures.append(asked)
            coordinator.files = good if len(failures) == 3 else coordinator.files
        return Answer()

    coordinator.rules["/v1/reports"] = hear
    status, output = machine.boot()
    assert status == 0, output
    assert [asked.form["attempt"] for asked in failures] == [["1"], ["2"], ["3"], ["4"], ["5"]]
    assert "files ... done" in output.rpartition("[ 1/6]")[2]


def test_a_stop_is_loud_and_final(machine: Machine, coordinator: Coordinator) -> None:
    stage(machine, "base", "check() { stop 'This is wrong.' 'Do that, with user:$6$saltsalt$hashhashhash.'; }")
    status, output = machine.boot()
    assert status == 20
    assert "[ 5/6] base ... stopped" in output
    assert "| This is wrong.        " in output
    assert "| Do that, with user:***" in output
    assert coordinator.reports()[-1] == "base stopped"
    assert "RestartPreventExitStatus=20" in machine.read(f"{KUBESEED}/kubeseed-firstboot.service")


def test_skips_what_the_spec_skips_but_not_what_every_node_needs(machine: Machine, coordinator: Coordinator) -> None:
    machine.seed(coordinator.root.pem(), ENROL, SKIP_STAGES="base preflight")
    status, output = machine.boot()
    assert status == 0, output
    assert {"base skipped", "preflight done"} <= set(coordinator.reports())


def test_a_stage_without_a_program_stops_the_node(machine: Machine, coordinator: Coordinator) -> None:
    machine.path(f"{KUBESEED}/stage/base").unlink()
    status, output = machine.boot()
    assert status == 20
    assert "This node has no program for stage base." in output


def test_reports_wait_for_the_enrolment_and_for_a_coordinator_that_is_away(
    machine: Machine, coordinator: Coordinator
) -> None:
    coordinator.rules["/v1/reports"] = in_turn(*[refusal(503, "busy")] * 12, lambda _: Answer())
    status, output = machine.boot()
    assert status == 0, output
    received = [asked for asked in coordinator.asked if asked.route == "/v1/reports"]
    assert all(asked.authorization.startswith("Node m1:") for asked in received)
    assert ends(coordinator.reports())[-6:] == reported("done")
    assert not list(machine.path("var/lib/kubeseed/report").glob("*.report"))


def test_a_report_that_is_refused_for_good_is_dropped(machine: Machine, coordinator: Coordinator) -> None:
    coordinator.rules["/v1/reports"] = lambda _: refusal(422, "no such stage")
    status, output = machine.boot()
    assert status == 0, output
    assert ends(coordinator.reports()) == reported("done")


def test_a_disk_of_another_generation_is_not_touched(machine: Machine, coordinator: Coordinator) -> None:
    machine.boot()
    machine.seed(coordinator.root.pem(), ENROL, GENERATION="2")
    asked = len(coordinator.asked)
    status, output = machine.boot()
    assert status == 20
    assert "holds the state of generation 1, the seed is of generation 2" in " ".join(output.replace("|", " ").split())
    assert len(coordinator.asked) == asked


def test_a_stage_that_takes_its_time_says_so_once(machine: Machine, coordinator: Coordinator) -> None:
    stage(machine, "base", "apply() { /usr/bin/sleep 1; }\nverify() { :; }")
    status, output = machine.boot()
    assert status == 0, output
    assert output.count("[ 5/6] base ... \n[ 5/6] base ... done ") == 1
    assert "base started" in coordinator.reports()


def test_two_runners_do_not_meet(machine: Machine, coordinator: Coordinator) -> None:
    stage(machine, "base", f"apply() {{ {KUBESEED}/run; touch /var/once; }}\nverify() {{ :; }}")
    status, output = machine.boot()
    assert status == 0, output
    assert machine.read("var/lib/kubeseed/log/base.log") == "kubeseed runs already\n"


def test_no_secret_is_ever_in_an_argument_an_environment_a_log_or_a_public_file(
    machine: Machine, coordinator: Coordinator
) -> None:
    coordinator.files = Coordinator(machine.root, {"passwords": "ops:$6$saltsalt$c0ffee\n"}).files
    process = machine.start()
    seen: set[str] = set()
    while process.poll() is None:
        seen |= arguments_and_environments(process.pid)
    status, output = machine.finish()
    credential = machine.read("etc/kubeseed/credential")
    assert status == 0, output
    assert any("curl" in line for line in seen)
    forms = "".join(str(asked.form) for asked in coordinator.asked)
    logs = "".join(path.read_text() for path in machine.path("var/lib/kubeseed").rglob("*") if path.is_file())
    for secret in (credential, SECRET, "c0ffee"):
        assert not [line for line in seen if secret in line]
        assert secret not in output + forms + logs
    holding = {path.relative_to(machine.root) for path in files_holding(machine, credential)}
    assert {str(path) for path in holding} == {"etc/kubeseed/credential", "etc/kubeseed/node.curl"}
    assert all(stat.S_IMODE(machine.path(str(path)).stat().st_mode) == 0o600 for path in holding)
    assert not list(files_holding(machine, SECRET))


def files_holding(machine: Machine, text: str) -> list[Path]:
    files = (path for path in machine.root.rglob("*") if path.is_file() and not path.is_symlink())
    return [path for path in files if text.encode() in path.read_bytes()]
