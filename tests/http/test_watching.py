"""What an operator and a monitor see: the status page's listener, its stream, metrics, health and readiness."""

import asyncio
import itertools
import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import ASGIApp

from http_server.app import Traffic, build_app
from http_server.board import Board
from http_server.coordinator import assemble
from http_server.limit import Rate
from http_server.ports import Store, StoreUnavailableError
from http_server.routes import ROUTES, Listener
from http_server.settings import Out, Settings, parse_local
from tests.http.process import Coordinator, fresh_out, running


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    with running(tmp_path_factory.mktemp("watched")) as coordinator:
        yield coordinator


def news(lines: Iterator[str]) -> dict[str, Any]:
    """The next event of a stream."""
    for line in lines:
        if line.startswith("data: "):
            found: dict[str, Any] = json.loads(line.removeprefix("data: "))
            return found
    raise AssertionError("the stream ended")


async def ask(app: ASGIApp, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        return await client.get(path)


def samples(coordinator: Coordinator) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    with coordinator.watcher() as client:
        families = text_string_to_metric_families(client.get("/metrics").text)
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }


def test_the_stream_tells_everything_once_and_then_what_changes(coordinator: Coordinator) -> None:
    with coordinator.watcher() as client, client.stream("GET", "/stream") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        first = news(lines)
        assert first["whole"]
        assert {f"node {name}" for name in coordinator.out.inventory["nodes"]} | {"head", "order"} == set(
            first["pieces"]
        )
        coordinator.machine("w1").enrolled().report("base", "failed", log="no room\nleft")
        second = news(lines)
        while "node w1" not in second["pieces"] or not any(second["pieces"]["node w1"]["stages"]):
            second = news(lines)
        assert (second["whole"], set(second["pieces"])) == (False, {"node w1"})
        assert second["pieces"]["node w1"]["stages"][4][0::4] == ["failed", "no room\nleft"]


def test_a_pending_node_shows_its_fingerprint_and_a_bound_one_none(coordinator: Coordinator) -> None:
    machine = coordinator.machine("w2")
    assert machine.enrol("Pending w2").status_code == 202
    with coordinator.watcher() as client, client.stream("GET", "/stream") as answer:
        lines = answer.iter_lines()
        assert news(lines)["pieces"]["node w2"]["fingerprint"] == machine.fingerprint
        coordinator.order("/nodes/w2/approve", {"fingerprint": machine.fingerprint})
        assert "fingerprint" not in news(lines)["pieces"]["node w2"]


def test_the_stream_ends_when_the_coordinator_does(coordinator: Coordinator) -> None:
    with coordinator.watcher() as client, client.stream("GET", "/stream") as answer:
        lines = answer.iter_lines()
        news(lines)
        assert coordinator.signal(signal.SIGTERM) == 0
        assert not any(line.startswith("data: ") for line in lines)


def test_the_page_loads_nothing_from_elsewhere_and_may_not_be_framed(watched: Coordinator) -> None:
    with watched.watcher() as client:
        answers = [client.get(path) for path in ("/", "/page.css", "/page.js")]
    assert {answer.status_code for answer in answers} == {200}
    for answer in answers:
        assert "://" not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8090", "192.168.77.2:8090", ""])
def test_another_name_for_the_page_is_refused(watched: Coordinator, host: str) -> None:
    """DNS rebinding: a foreign page whose name is made to point here must not read the cluster's state."""
    with watched.watcher() as client:
        assert client.get("/stream", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1:8090", "[::1]:8090"])
def test_names_of_this_machine_are_taken(watched: Coordinator, host: str) -> None:
    with watched.watcher() as client:
        assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed_through_the_page(watched: Coordinator, method: str) -> None:
    with watched.watcher() as client:
        assert client.request(method, "/").status_code == 405
        assert client.request(method, "/nodes/w1/approve").status_code == 404


@pytest.mark.parametrize("text", ["0.0.0.0:8090", ":8090", "192.168.77.2:8090", "[::]:8090"])
def test_the_page_is_for_this_machine_alone(text: str) -> None:
    with pytest.raises(ValueError, match="ssh -L"):
        parse_local(text)


def test_ready_says_every_listener_for_nodes_and_monitors(watched: Coordinator) -> None:
    for client in (watched.anybody, watched.boot, watched.watcher):
        with client() as opened:
            assert opened.get("/readyz").text == "ready\n"


def test_without_its_store_the_coordinator_is_alive_and_not_ready(tmp_path: Path) -> None:
    """As when etcd is away: nodes get 503 and ask again, a load balancer in front asks another coordinator."""

    class Away:
        reads_at_once = False

        def read(self, look: object) -> object:
            raise StoreUnavailableError("no etcd answers")

    with assemble(Settings(Out(fresh_out(tmp_path, 8443).root))) as made:
        context = replace(made.context, store=cast("Store", Away()))
        routes = tuple(route for route in ROUTES if route.listener is Listener.PLAIN)
        rates = Traffic(Rate((100, 100)), Rate((100, 100)))
        app = build_app(context, Listener.PLAIN, routes, rates)
        assert asyncio.run(ask(app, "/healthz")).status_code == 200
        answer = asyncio.run(ask(app, "/readyz"))
        assert (answer.status_code, answer.json()["error"]) == (503, "store-unavailable")
        assert int(answer.headers["retry-after"]) >= 1


def test_metrics_count_requests_by_route_and_show_the_cluster(coordinator: Coordinator) -> None:
    coordinator.machine("w1").enrolled().report("base", "done")
    with coordinator.anybody(Authorization=f"Node w1:{'0' * 64}") as client:
        client.get("/v1/files")
        client.get("/v1/no-such-thing-of-a-caller")
    found = samples(coordinator)
    where = {"listener": "tls", "method": "GET", "route": "/v1/files", "status": "401"}
    assert found["kubeseed_requests_total", frozenset(where.items())] == 1
    assert found["kubeseed_refusals_total", frozenset({("code", "unauthorised")})] == 1
    assert found["kubeseed_nodes", frozenset({("state", "bound")})] == 1
    assert found["kubeseed_nodes", frozenset({("state", "issued")})] == 4
    assert found["kubeseed_stages", frozenset({("stage", "base"), ("state", "done")})] == 1
    assert found["kubeseed_init_complete", frozenset()] == 0
    assert found["kubeseed_connections", frozenset({("listener", "ui")})] >= 1
    assert not any("no-such-thing" in value for _, labels in found for _, value in labels)


def test_the_operators_socket_has_the_metrics_too(watched: Coordinator) -> None:
    with watched.operator() as client:
        assert "kubeseed_init_epoch 1.0" in client.get("/metrics").text


def test_a_board_tells_each_watcher_what_is_new_to_it() -> None:
    board = Board()
    board.put({"a": "1", "b": "2"})
    early = board.step
    board.put({"a": "1", "b": "3"})
    board.put({"a": "1"})
    assert json.loads(board.news(0))["pieces"] == {"a": 1}
    late = json.loads(board.news(early))
    assert (late["pieces"], late["gone"]) == ({}, ["b"])
    assert board.news(board.step) == ""
    board.put({"a": "1", "b": "3"})
    assert json.loads(board.news(early))["gone"] == []


def test_a_picture_that_takes_long_is_made_seldom() -> None:
    time = [0.0]
    taken: list[float] = []

    def take() -> dict[str, object]:
        taken.append(time[0])
        time[0] += 0.5
        return {}

    async def watch() -> None:
        board = Board(lambda: time[0])
        for _ in range(20):
            await board.renew(take)
            time[0] += 1

    asyncio.run(watch())
    assert [b - a for a, b in itertools.pairwise(taken)] == [pytest.approx(5.5, abs=1)] * (len(taken) - 1)


def test_the_status_of_many_nodes_carries_no_logs_of_what_is_well(tmp_path: Path) -> None:
    with running(tmp_path) as coordinator:
        machine = coordinator.machine("w1").enrolled()
        machine.report("base", "done", log="x" * 5000)
        machine.report("pki", "stopped", log="wrong clock")
        stages = coordinator.status()["nodes"]["w1"]["stages"]
    assert (stages["base"]["log"], stages["pki"]["log"]) == ("", "wrong clock")
