"""Knows every route: one table, and no route without the authentication, role, body limit and type it demands."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from http_server.model import Auth, Who
from http_server.service import (
    asset,
    authority,
    backends,
    backup,
    boot,
    certificate,
    enrol,
    files,
    init,
    installation,
    operator,
    report,
    restore_order,
    seed,
)
from http_server.service import join as joining
from http_server.service.context import Context
from http_server.settings import Limits
from http_server.ui import health, page
from http_server.wire import BYTES, CSR, FORM, JSON, Answer, Call

Handler = Callable[[Context, Call], Answer] | Callable[[Context, Call], Awaitable[Answer]]


class Listener(StrEnum):
    """Where a route is served."""

    TLS = "tls"
    PLAIN = "plain"
    SOCKET = "socket"
    UI = "ui"


@dataclass(frozen=True, slots=True)
class Route:
    """One route. `body` is the largest body in bytes, 0 for none; `media_type` is the only type taken.

    A `streamed` body is never in memory as a whole: the handler reads it while it arrives. A `quick` handler does
    nothing but look at the inventory, the store and a few small files.
    """

    listener: Listener
    method: str
    path: str
    handler: Handler
    auth: Auth
    who: Who = Who.ALL
    body: int = 0
    media_type: str = ""
    streamed: bool = False
    quick: bool = False


LIMITS = Limits()
TLS, PLAIN, SOCKET, UI = Listener.TLS, Listener.PLAIN, Listener.SOCKET, Listener.UI

ROUTES: tuple[Route, ...] = (
    Route(TLS, "GET", "/healthz", backends.healthz, Auth.NONE, quick=True),
    Route(TLS, "GET", "/readyz", health.readyz, Auth.NONE, quick=True),
    Route(TLS, "POST", "/v1/enrol", enrol.enrol, Auth.ENROLMENT, Who.ALL, LIMITS.body, FORM),
    Route(TLS, "GET", "/v1/files", files.files, Auth.NODE, quick=True),
    Route(TLS, "POST", "/v1/init/claim", init.claim, Auth.NODE, Who.FIRST_MASTER, LIMITS.body, FORM),
    Route(TLS, "POST", "/v1/init/complete", init.complete, Auth.NODE, Who.FIRST_MASTER, LIMITS.body, FORM),
    Route(TLS, "GET", "/v1/pki", authority.pki, Auth.NODE, Who.MASTERS),
    Route(TLS, "GET", "/v1/authorities", authority.authorities, Auth.NODE, quick=True),
    Route(TLS, "POST", "/v1/certificates/{kind}", certificate.certificate, Auth.NODE, Who.ALL, LIMITS.body, CSR),
    Route(TLS, "GET", "/v1/join", joining.join, Auth.NODE, Who.JOINERS),
    Route(TLS, "GET", "/v1/root", seed.roots, Auth.NODE),
    Route(TLS, "GET", "/v1/backends", backends.backends, Auth.NODE, quick=True),
    Route(TLS, "POST", "/v1/reports", report.report, Auth.NODE, Who.ALL, LIMITS.report_body, FORM),
    Route(TLS, "POST", "/v1/backups/{digest}", backup.take_blob, Auth.NODE, Who.MEMBERS, LIMITS.blob, BYTES, True),
    Route(TLS, "POST", "/v1/backups", backup.take_backup, Auth.NODE, Who.MEMBERS, LIMITS.manifest, JSON),
    Route(TLS, "GET", "/v1/backups/wanted", backup.wanted, Auth.NODE, Who.MEMBERS),
    Route(TLS, "GET", "/v1/backups/store", backup.store, Auth.NODE, Who.MEMBERS),
    Route(TLS, "GET", "/v1/restore", restore_order.order, Auth.NODE, Who.MEMBERS),
    Route(TLS, "GET", "/v1/restore/{file}", restore_order.file, Auth.NODE, Who.MEMBERS),
    Route(TLS, "POST", "/v1/restore/done", restore_order.done, Auth.NODE, Who.MEMBERS, LIMITS.body, FORM),
    Route(PLAIN, "GET", "/healthz", backends.healthz, Auth.NONE, quick=True),
    Route(PLAIN, "GET", "/readyz", health.readyz, Auth.NONE, quick=True),
    Route(PLAIN, "GET", "/ca.crt", seed.roots, Auth.NONE),
    Route(PLAIN, "GET", "/seed/{node}/{file}", seed.seed, Auth.NONE),
    Route(PLAIN, "GET", "/seed/{node}/autoinstall/{file}", seed.autoinstall, Auth.NONE),
    Route(PLAIN, "GET", "/boot.ipxe", asset.entry, Auth.NONE),
    Route(PLAIN, "GET", "/tftp/{name}", asset.program, Auth.NONE),
    Route(PLAIN, "GET", "/assets/{digest}", asset.asset, Auth.NONE),
    Route(PLAIN, "GET", "/boot/script", boot.script, Auth.NONE),
    Route(PLAIN, "POST", "/boot/report", installation.report, Auth.NONE, Who.ALL, LIMITS.body, FORM),
    Route(SOCKET, "GET", "/status", operator.status, Auth.OPERATOR),
    Route(SOCKET, "GET", "/events", operator.events, Auth.OPERATOR),
    Route(SOCKET, "GET", "/metrics", health.metrics, Auth.OPERATOR),
    Route(SOCKET, "POST", "/nodes/{node}/approve", operator.approve, Auth.OPERATOR, Who.ALL, LIMITS.body, FORM),
    Route(SOCKET, "POST", "/nodes/{node}/revoke", operator.revoke, Auth.OPERATOR, Who.ALL, LIMITS.body, FORM),
    Route(SOCKET, "POST", "/nodes/{node}/rearm", operator.rearm, Auth.OPERATOR, Who.ALL, LIMITS.body, FORM),
    Route(SOCKET, "POST", "/backups/now", backup.want, Auth.OPERATOR, Who.ALL, LIMITS.body, FORM),
    Route(SOCKET, "POST", "/restore", restore_order.arm, Auth.OPERATOR, Who.ALL, LIMITS.body, FORM),
    Route(SOCKET, "POST", "/restore/disarm", restore_order.disarm, Auth.OPERATOR, Who.ALL, LIMITS.body, FORM),
    Route(SOCKET, "POST", "/nodes/{node}/reinstall", installation.reinstall, Auth.OPERATOR, Who.ALL, LIMITS.body, FORM),
    Route(SOCKET, "POST", "/init/reassign", operator.reassign, Auth.OPERATOR, Who.ALL, LIMITS.body, FORM),
    Route(UI, "GET", "/", page.page, Auth.NONE),
    Route(UI, "GET", "/page.css", page.style, Auth.NONE),
    Route(UI, "GET", "/page.js", page.script, Auth.NONE),
    Route(UI, "GET", "/stream", page.stream, Auth.NONE),
    Route(UI, "GET", "/metrics", health.metrics, Auth.NONE),
    Route(UI, "GET", "/healthz", backends.healthz, Auth.NONE, quick=True),
    Route(UI, "GET", "/readyz", health.readyz, Auth.NONE, quick=True),
)

ALLOWED_AUTH = {
    Listener.TLS: frozenset({Auth.NONE, Auth.ENROLMENT, Auth.NODE}),
    Listener.PLAIN: frozenset({Auth.NONE}),
    Listener.SOCKET: frozenset({Auth.OPERATOR}),
    Listener.UI: frozenset({Auth.NONE}),
}


class RouteError(ValueError):
    """A table that must not be served."""


def check_routes(routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """Refuses a table in which a route lacks its authentication, or shows itself on the wrong listener."""
    for route in routes:
        if not isinstance(route.auth, Auth) or route.auth not in ALLOWED_AUTH[route.listener]:
            raise RouteError(f"{route.method} {route.path}: {route.auth!r} is no authentication for {route.listener}")
        if not isinstance(route.who, Who) or (route.who is not Who.ALL and route.auth is not Auth.NODE):
            raise RouteError(f"{route.method} {route.path}: a role needs the authentication of a node")
        if route.listener is Listener.UI and route.method != "GET":
            raise RouteError(f"{route.method} {route.path}: the status page changes nothing")
        if bool(route.body) != (route.method == "POST") or bool(route.body) != bool(route.media_type):
            raise RouteError(f"{route.method} {route.path}: a body needs a limit and a type, and belongs to POST")
    if len({(route.listener, route.method, route.path) for route in routes}) != len(routes):
        raise RouteError("a route is there twice")
    return routes
