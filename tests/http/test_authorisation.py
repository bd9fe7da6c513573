"""Every route times every kind of caller. The table is written by hand: a new route fails until it is added here."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest

from http_server.model import Auth, Who
from http_server.routes import ROUTES, Listener, Route, RouteError, check_routes
from http_server.wire import Answer, Call
from tests.http.process import Coordinator, Machine, running

NODES = {"worker", "master", "first master", "closed worker"}
MASTERS = {"master", "first master"}
ANYBODY = NODES | {
    "nobody", "wrong credential", "revoked node", "other cluster's node", "old generation",
    "pending node", "re-armed node", "another node's name",
    "sealed seed", "wrong seed", "closed seed", "pending seed", "stranger", "operator's words",
}  # fmt: skip
SEEDS = {"sealed seed", "pending seed"}

# Who is not answered with 401 or 403, by listener, method and path.
ALLOWED: dict[tuple[str, str, str], set[str]] = {
    ("tls", "GET", "/healthz"): ANYBODY,
    ("tls", "GET", "/readyz"): ANYBODY,
    ("tls", "POST", "/v1/enrol"): SEEDS,
    ("tls", "GET", "/v1/files"): NODES,
    ("tls", "POST", "/v1/init/claim"): {"first master"},
    ("tls", "POST", "/v1/init/complete"): {"first master"},
    ("tls", "GET", "/v1/pki"): MASTERS,
    ("tls", "GET", "/v1/authorities"): NODES,
    ("tls", "POST", "/v1/certificates/{kind}"): NODES,
    ("tls", "GET", "/v1/join"): NODES - {"first master"},
    ("tls", "GET", "/v1/root"): NODES,
    ("tls", "GET", "/v1/backends"): NODES,
    ("tls", "POST", "/v1/reports"): NODES,
    ("tls", "POST", "/v1/backups/{digest}"): MASTERS,
    ("tls", "POST", "/v1/backups"): MASTERS,
    ("tls", "GET", "/v1/backups/wanted"): MASTERS,
    ("tls", "GET", "/v1/backups/store"): MASTERS,
    ("tls", "GET", "/v1/restore"): MASTERS,
    ("tls", "GET", "/v1/restore/{file}"): MASTERS,
    ("tls", "POST", "/v1/restore/done"): MASTERS,
    ("plain", "GET", "/healthz"): ANYBODY,
    ("plain", "GET", "/readyz"): ANYBODY,
    ("plain", "GET", "/ca.crt"): ANYBODY,
    ("plain", "GET", "/seed/{node}/{file}"): ANYBODY,
    ("plain", "GET", "/seed/{node}/autoinstall/{file}"): ANYBODY,
    ("plain", "GET", "/boot.ipxe"): ANYBODY,
    ("plain", "GET", "/tftp/{name}"): ANYBODY,
    ("plain", "GET", "/assets/{digest}"): ANYBODY,
    ("plain", "GET", "/boot/script"): ANYBODY,
    ("plain", "POST", "/boot/report"): ANYBODY,
    ("socket", "POST", "/nodes/{node}/reinstall"): ANYBODY,
    ("socket", "GET", "/status"): ANYBODY,
    ("socket", "GET", "/events"): ANYBODY,
    ("socket", "GET", "/metrics"): ANYBODY,
    ("socket", "POST", "/nodes/{node}/approve"): ANYBODY,
    ("socket", "POST", "/nodes/{node}/revoke"): ANYBODY,
    ("socket", "POST", "/nodes/{node}/rearm"): ANYBODY,
    ("socket", "POST", "/backups/now"): ANYBODY,
    ("socket", "POST", "/restore"): ANYBODY,
    ("socket", "POST", "/restore/disarm"): ANYBODY,
    ("socket", "POST", "/init/reassign"): ANYBODY,
    ("ui", "GET", "/"): ANYBODY,
    ("ui", "GET", "/page.css"): ANYBODY,
    ("ui", "GET", "/page.js"): ANYBODY,
    ("ui", "GET", "/stream"): ANYBODY,
    ("ui", "GET", "/metrics"): ANYBODY,
    ("ui", "GET", "/healthz"): ANYBODY,
    ("ui", "GET", "/readyz"): ANYBODY,
}
KNOWN_BUT_NOT_ALLOWED = 403
PATHS = {"kind": "kubelet-serving", "node": "m3", "file": "user-data", "digest": "0" * 64, "name": "snponly.efi"}


@dataclass
class Stage:
    """A coordinator with one caller of each kind: their Authorization headers, and the node whose form they fill in."""

    coordinator: Coordinator
    headers: dict[str, str]
    machines: dict[str, Machine]

    def client(self, listener: str) -> httpx.Client:
        coordinator = self.coordinator
        doors: dict[str, Callable[[], httpx.Client]] = {
            "tls": coordinator.anybody, "plain": coordinator.boot, "socket": coordinator.operator,
            "ui": coordinator.watcher,
        }  # fmt: skip
        return doors[listener]()

    def ask(self, listener: str, method: str, path: str, caller: str) -> httpx.Response:
        header = self.headers[caller]
        form = self.machines.get(caller, self.machines["worker"]).form() if path == "/v1/enrol" else None
        headers = {"Authorization": header} if header else {}
        with self.client(listener) as client:
            request = client.build_request(method, path.format(**PATHS), headers=headers, data=form)
            answer = client.send(request, stream=True)
            if path != "/stream":  # that one never ends
                answer.read()
            answer.close()
            return answer


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with running(tmp_path_factory.mktemp("matrix")) as coordinator:
        yield cast_callers(coordinator)


def cast_callers(coordinator: Coordinator) -> Stage:
    out = coordinator.out
    for name in ("w3", "w4", "w5", "w7", "w8"):
        out.add_worker(name)
    reload(coordinator, "w8")
    first, master, worker = (coordinator.machine(name).enrolled() for name in ("m1", "m2", "w1"))
    closed, revoked, old = (coordinator.machine(name).enrolled() for name in ("w2", "m3", "w3"))
    closed.report("scrub", "done")
    waiting, rearmed = coordinator.machine("w7"), coordinator.machine("w8").enrolled()
    assert waiting.enrol("Pending w7").status_code == 202
    coordinator.order("/nodes/w8/rearm")
    coordinator.order("/nodes/m3/revoke")
    out.node("w3")["generation"] = 2
    out.add_worker("w6")
    reload(coordinator, "w6")
    sealed, pending = coordinator.machine("w4"), coordinator.machine("w5")
    headers = {
        "nobody": "", "wrong credential": f"Node w1:{'0' * 64}", "revoked node": revoked.header,
        "old generation": old.header, "pending node": waiting.header, "re-armed node": rearmed.header,
        "another node's name": f"Node m1:{worker.credential}",
        "other cluster's node": f"Node m9:{'1' * 64}", "worker": worker.header, "master": master.header,
        "first master": first.header, "closed worker": closed.header, "sealed seed": out.seal("w4"),
        "wrong seed": f"Enrolment {out.node('w4')['enrolId']}:{'2' * 64}", "closed seed": out.seal("w2"),
        "pending seed": "Pending w5", "stranger": "Pending w9", "operator's words": "Operator root",
    }  # fmt: skip
    return Stage(
        coordinator, headers, {"worker": worker, "sealed seed": sealed, "pending seed": pending, "closed seed": closed}
    )


def reload(coordinator: Coordinator, name: str) -> None:
    """Writes the inventory and waits until the coordinator knows the node."""
    coordinator.out.write_inventory()
    end = time.monotonic() + 10
    while name not in coordinator.status()["nodes"]:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_every_route_is_in_the_table_by_hand() -> None:
    assert {(str(route.listener), route.method, route.path) for route in ROUTES} == set(ALLOWED)


@pytest.mark.parametrize("caller", sorted(ANYBODY))
@pytest.mark.parametrize("route", sorted(ALLOWED), ids=" ".join)
def test_matrix(stage: Stage, route: tuple[str, str, str], caller: str) -> None:
    status = stage.ask(*route, caller).status_code
    if caller in ALLOWED[route]:
        assert status not in {401, 403, 500}
    elif caller in NODES and route[2] != "/v1/enrol":
        assert status == KNOWN_BUT_NOT_ALLOWED
    else:
        assert status == 401


@pytest.mark.parametrize("route", sorted(ALLOWED), ids=" ".join)
def test_a_route_shows_itself_on_its_own_listener_only(stage: Stage, route: tuple[str, str, str]) -> None:
    listener, method, path = route
    for other in {"tls", "plain", "socket", "ui"} - {listener}:
        if (other, method, path) not in ALLOWED:
            assert stage.ask(other, method, path, "first master").status_code == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD"])
def test_other_methods_are_refused(stage: Stage, method: str) -> None:
    for path in ("/v1/files", "/v1/pki", "/v1/enrol"):
        assert stage.ask("tls", method, path, "first master").status_code == 405


def handler(context: object, call: Call) -> Answer:
    del context, call
    return Answer()


BROKEN = {
    "no authentication on TLS": Route(Listener.TLS, "GET", "/x", handler, None),  # type: ignore[arg-type]  # the point of the test
    "a node's route on plain HTTP": Route(Listener.PLAIN, "GET", "/x", handler, Auth.NODE),
    "an operator's route on TLS": Route(Listener.TLS, "GET", "/x", handler, Auth.OPERATOR),
    "an open route on the socket": Route(Listener.SOCKET, "GET", "/x", handler, Auth.NONE),
    "a role without a node": Route(Listener.TLS, "GET", "/x", handler, Auth.NONE, Who.MASTERS),
    "a POST without a limit": Route(Listener.TLS, "POST", "/x", handler, Auth.NODE),
    "a body without a type": Route(Listener.TLS, "POST", "/x", handler, Auth.NODE, Who.ALL, 10),
    "a change through the status page": Route(Listener.UI, "POST", "/x", handler, Auth.NONE, Who.ALL, 10, "text/plain"),
    "a node's route on the status page": Route(Listener.UI, "GET", "/x", handler, Auth.NODE),
    "a GET with a body": Route(Listener.TLS, "GET", "/x", handler, Auth.NODE, Who.ALL, 10, "text/plain"),
}


@pytest.mark.parametrize("route", BROKEN.values(), ids=BROKEN.keys())
def test_a_route_without_its_demands_does_not_start(route: Route) -> None:
    with pytest.raises(RouteError):
        check_routes((route,))


def test_a_route_twice_does_not_start() -> None:
    with pytest.raises(RouteError):
        check_routes((ROUTES[0], ROUTES[0]))
