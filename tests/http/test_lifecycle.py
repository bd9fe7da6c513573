"""The real command: how it starts, refuses to start, reloads and stops, and what an operator reads."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.http.outfolder import OutFolder
from tests.http.process import REPOSITORY, Coordinator, command, free_port, fresh_out, run_command, running
from tests.http.wait import wait_for

ENVIRONMENT = 3


@contextmanager
def serving(out: OutFolder, *words: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`kubeseed serve` as a process of its own, once it answers."""
    boot_port = free_port()
    call = command("serve", str(out.root), "--boot-listen", f"127.0.0.1:{boot_port}", *words)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(call, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            wait_for(lambda: answers(boot_port), 30)
            yield process, boot_port
        finally:
            if process.poll() is None:
                process.kill()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def refused(out: OutFolder, *words: str) -> str:
    """The words of a `serve` that must not start."""
    done = run_command("serve", str(out.root), "--boot-listen", f"127.0.0.1:{free_port()}", *words)
    assert done.returncode == ENVIRONMENT, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def out(tmp_path: Path) -> OutFolder:
    return fresh_out(tmp_path, free_port())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly_with_long_polls_open(tmp_path: Path, number: signal.Signals) -> None:
    out = fresh_out(tmp_path, port := free_port())
    with serving(out, "--listen", f"127.0.0.1:{port}") as (process, _):
        workers = [Coordinator(out, port, 0).machine(name).enrolled() for name in ("w1", "w2")]
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda worker=worker: statuses.append(worker.get("/v1/join?wait=25").status_code))
            for worker in workers
        ]
        for thread in threads:
            thread.start()
        time.sleep(1)
        started = time.monotonic()
        process.send_signal(number)
        assert process.wait(5) == 0
        assert time.monotonic() - started < 5
        for thread in threads:
            thread.join(5)
        assert statuses == [202, 202]
        assert not (out.root / "state" / "admin.sock").exists()
        assert "Traceback" not in (process.stderr.read() if process.stderr else "")


def test_by_default_it_listens_on_the_port_of_the_inventorys_url(tmp_path: Path) -> None:
    out = fresh_out(tmp_path, port := free_port())
    with serving(out), Coordinator(out, port, 0).anybody() as client:
        assert client.get("/healthz").text == "ok\n"


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("secrets", 0o755), ("secrets/root.key", 0o644), ("state", 0o750), ("state/coordinator.db", 0o640),
        ("state/keyring.key", 0o604), ("state/audit.head", 0o644),
    ],
)  # fmt: skip
def test_readable_secrets_are_refused_with_the_chmod_to_type(out: OutFolder, path: str, mode: int) -> None:
    (out.root / path).chmod(mode)
    said = refused(out)
    assert f"{out.root / path} has mode {mode:04o}" in said
    wanted = "0700" if (out.root / path).is_dir() else "0600"
    assert f"hint: chmod {wanted} {out.root / path}" in said


def test_everything_it_makes_is_private(coordinator: Coordinator) -> None:
    coordinator.machine("w1").enrolled()
    state = coordinator.out.root / "state"
    assert state.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in state.iterdir()}
    assert {mode & 0o077 for mode in modes.values()} == {0}
    assert {
        "coordinator.db",
        "coordinator.db-wal",
        "coordinator.db-shm",
        "keyring.key",
        "audit.head",
        "admin.sock",
    } <= set(modes)


def test_what_a_kill_left_half_written_is_removed(out: OutFolder) -> None:
    for name in (".audit.head.77.88", ".keyring.key.77"):
        (out.root / "state" / name).touch(mode=0o600)
    with serving(out):
        assert not list((out.root / "state").glob(".*"))


def test_a_secret_that_is_a_link_is_refused(out: OutFolder, tmp_path: Path) -> None:
    key = out.root / "secrets" / "root.key"
    key.rename(tmp_path / "elsewhere")
    key.symlink_to(tmp_path / "elsewhere")
    assert "is a symbolic link" in refused(out)


def test_a_folder_that_is_not_there_or_not_generated(tmp_path: Path, out: OutFolder) -> None:
    assert "is not a folder" in refused(OutFolder(tmp_path / "nothing", {}))
    (out.root / "coordinator" / "inventory.json").unlink()
    said = refused(out)
    assert "the cluster is not generated yet" in said
    assert "hint: kubeseed generate SPEC -o OUT" in said


def test_an_inventory_with_mistakes_names_them_all(out: OutFolder) -> None:
    out.inventory["format"] = 2
    out.inventory["surprise"] = 1
    out.node("w1")["address"] = "not an address"
    out.write_inventory()
    said = refused(out)
    assert all(words in said for words in ("format:", "surprise: Extra inputs", "nodes.w1.address:"))


def test_an_address_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused(fresh_out(tmp_path, port), "--listen", f"127.0.0.1:{port}")
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in said
    assert f"sport = :{port}" in said


def test_a_second_coordinator_is_refused(coordinator: Coordinator) -> None:
    assert "a coordinator already serves" in refused(coordinator.out)
    assert coordinator.status()["cluster"] == "prod"


@pytest.mark.parametrize(
    "words", [["--listen", "nonsense"], ["--store", "mysql:x"], ["--log", "xml"], ["--listen", "h:99999"]]
)
def test_a_wrong_command_line_is_status_2(out: OutFolder, words: list[str]) -> None:
    assert run_command("serve", str(out.root), *words).returncode == 2


def test_another_clusters_store_is_refused(out: OutFolder) -> None:
    out.inventory["cluster"] = "staging"
    out.write_inventory()
    assert "the store belongs to cluster 'prod', the inventory to 'staging'" in refused(out)


def test_without_its_key_the_store_is_refused(out: OutFolder) -> None:
    key = out.root / "state" / "keyring.key"
    kept = key.read_bytes()
    key.unlink()
    assert "keyring.key is missing" in refused(out)
    key.touch(mode=0o600)
    key.write_text("11" * 32)
    assert "the keyring does not open the store" in refused(out)
    key.write_text("too short")
    assert "does not hold 64 hexadecimal digits" in refused(out)
    key.write_bytes(kept)
    with serving(out):
        pass


def test_the_key_may_come_from_systemds_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = fresh_out(tmp_path, free_port())
    folder = tmp_path / "credentials"
    folder.mkdir()
    (out.root / "state" / "keyring.key").rename(folder / "keyring.key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    with serving(out):
        assert not (out.root / "state" / "keyring.key").exists()


def test_a_new_inventory_is_taken_and_a_bad_one_is_not(coordinator: Coordinator) -> None:
    coordinator.out.add_worker("w3")
    coordinator.out.write_inventory()
    wait_for(lambda: "w3" in coordinator.status()["nodes"])
    (coordinator.out.root / "coordinator" / "inventory.json").write_text("{")
    wait_for(lambda: "the inventory was not taken, the former stays" in coordinator.log)
    assert coordinator.machine("w3").enrolled().get("/v1/backends").status_code == 200


def test_sighup_reads_the_inventory_at_once(coordinator: Coordinator) -> None:
    coordinator.out.add_worker("w3")
    coordinator.out.write_inventory()
    assert coordinator.process is not None
    assert coordinator.process.pid is not None
    os.kill(coordinator.process.pid, signal.SIGHUP)
    wait_for(lambda: "w3" in coordinator.status()["nodes"], 1)


def test_a_new_url_gets_a_new_certificate_while_running(coordinator: Coordinator) -> None:
    coordinator.out.inventory["urls"].append(f"https://localhost:{coordinator.port}")
    coordinator.out.write_inventory()

    def answers_by_name() -> bool:
        try:
            url = f"https://localhost:{coordinator.port}/healthz"
            return httpx.get(url, verify=coordinator.trust, trust_env=False).status_code == 200
        except httpx.ConnectError:
            return False

    wait_for(answers_by_name)


def test_commands_without_a_coordinator_say_what_to_type(out: OutFolder) -> None:
    root = str(out.root)
    for words in (
        ["status", root],
        ["events", root],
        ["approve", root, "w1", "a1b2-c3d4-e5f6-0718-293a"],
        ["node", "revoke", root, "w1"],
    ):
        done = run_command(*words)
        assert (done.returncode, done.stdout) == (ENVIRONMENT, "")
        assert done.stderr == f"error: no coordinator serves {root}\nhint: kubeseed serve {root}\n"


def test_the_operator_approves_what_the_console_shows(coordinator: Coordinator) -> None:
    root, machine = str(coordinator.out.root), coordinator.machine("w1")
    machine.enrol("Pending w1", serial="[bold]\x1b[2JX")
    shown = run_command("status", root).stdout
    assert f"kubeseed approve {root} w1 {machine.fingerprint}" in shown.replace("\n", "")
    assert "\x1b" not in shown
    assert "[bold][2JX" in shown
    wrong = run_command("approve", root, "w1", "0000-0000-0000-0000-0000")
    assert (wrong.returncode, "another fingerprint" in wrong.stderr) == (ENVIRONMENT, True)
    assert run_command("approve", root, "w1", "--fingerprint", machine.fingerprint).returncode == 0
    assert machine.enrol("Pending w1").status_code == 200
    assert "enrolment-approved" in run_command("events", root).stdout
    assert run_command("node", "revoke", root, "w1").returncode == 0
    assert machine.get("/v1/files").status_code == 401
    assert run_command("node", "rearm", root, "w1").returncode == 0
    assert run_command("node", "rearm", root, "nobody").returncode == ENVIRONMENT
    assert run_command("reassign-init", root).returncode == 0


def test_status_as_json(coordinator: Coordinator) -> None:
    import json

    assert json.loads(run_command("status", str(coordinator.out.root), "--json").stdout) == coordinator.status()


def test_the_log_is_for_people_or_for_machines(tmp_path: Path) -> None:
    import json

    out = fresh_out(tmp_path, port := free_port())
    with serving(out, "--listen", f"127.0.0.1:{port}", "--log", "json") as (process, _):
        Coordinator(out, port, 0).machine("w1").enrolled()
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=10)
    lines = [json.loads(line) for line in log.splitlines()]
    (line,) = (line for line in lines if line.get("route") == "/v1/enrol")
    assert (line["node"], line["method"], line["status"]) == ("w1", "POST", 200)
    assert line["ms"] > 0


def test_watching_ends_with_ctrl_c(coordinator: Coordinator) -> None:
    words = [*command("status", str(coordinator.out.root), "--watch")]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    hears = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # tests in the background were told to ignore it
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, preexec_fn=hears
    ) as process:
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=20)
    assert process.returncode == 0
    assert b"Traceback" not in complaint


def test_help_needs_no_heavy_module() -> None:
    heavy = "{'cryptography', 'uvicorn', 'rich.table', 'requests'}"
    code = f"import sys, http_server.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert done.stdout.strip() == "[]"


def test_old_tls_is_refused(coordinator: Coordinator) -> None:
    import ssl

    context = coordinator.trust
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    url = f"https://127.0.0.1:{coordinator.port}/healthz"
    assert httpx.get(url, verify=context, trust_env=False).status_code == 200
    context.set_ciphers("AES128-SHA:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, verify=context, trust_env=False)


def test_a_root_that_has_no_key_or_another_is_refused(tmp_path: Path) -> None:
    with running(tmp_path / "a") as first:
        pass
    other = fresh_out(tmp_path / "b", free_port())
    from tests.http.outfolder import make_root

    (other.root / "secrets" / "root.key").write_bytes(make_root("other")[1])
    assert "the key does not belong to the certificate" in refused(other)
    (first.out.root / "secrets" / "root.crt").unlink()
    assert "root.crt is missing" in refused(first.out)


def test_an_api_server_that_never_answers_does_not_delay_a_stop(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        out = fresh_out(tmp_path, port := free_port(), join="token", api_servers=[address, address, address])
        with serving(out, "--listen", f"127.0.0.1:{port}") as (process, _):
            served = Coordinator(out, port, 0)
            served.machine("m1").enrolled().initialise()
            worker = served.machine("w1").enrolled()
            waiting = threading.Thread(target=lambda: worker.get("/v1/join?wait=25"))
            waiting.start()
            time.sleep(1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(5) == 0
            waiting.join(10)
