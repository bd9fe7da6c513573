"""Knows the road of every request: limits, authentication, role, body, handler, answer, log line."""

import asyncio
import inspect
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from http_server.authenticate import authenticate, authorise
from http_server.body import body_pieces, read_body
from http_server.errors import ApiError, unavailable
from http_server.failpoint import reach
from http_server.limit import Rate
from http_server.model import AuditEvent, Auth, Scheme
from http_server.ports import StoreUnavailableError
from http_server.request_log import Line, write
from http_server.response import make_response
from http_server.routes import Listener, Route, check_routes
from http_server.service.context import Context
from http_server.settings import Limits
from http_server.wire import Answer, Call, refuse

log = logging.getLogger("kubeseed.app")
T = TypeVar("T")
# A page of another name that points here (DNS rebinding) must not read the cluster's state through somebody's browser.
LOCAL = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?")


@dataclass(slots=True)
class Traffic:
    """What is under way on all listeners, how fast each peer asks, and how fast all of them together."""

    peer_rate: Rate
    all_rate: Rate = field(default_factory=lambda: Rate(Limits().all_rate))
    in_flight: int = 0


def build_app(context: Context, listener: Listener, routes: tuple[Route, ...], traffic: Traffic) -> ASGIApp:
    """The ASGI application of one listener: the table's routes and nothing else."""
    roads = [Road(context, route, traffic) for route in check_routes(routes) if route.listener is listener]
    table = [StarletteRoute(road.route.path, road, methods=[road.route.method]) for road in roads]
    app = Starlette(routes=table, exception_handlers={HTTPException: _no_route, Exception: _fault})
    app.router.redirect_slashes = False
    return Crossing(roads, app)


class Crossing:
    """Finds the road of a request: by its whole path where the table has no names in it, which is most of the time,
    else as Starlette does it, which also knows what to say of paths and methods that nobody serves.
    """

    def __init__(self, roads: Sequence["Road"], others: ASGIApp) -> None:
        self._roads = {(road.route.method, road.route.path): road for road in roads if "{" not in road.route.path}
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._roads.get((scope["method"], scope["path"]), self._others) if "path" in scope else self._others
        await app(scope, receive, send)


class Road:
    """One route: every request takes the same steps in the same order."""

    def __init__(self, context: Context, route: Route, traffic: Traffic) -> None:
        self.route = route
        self.context = context
        self.traffic = traffic
        self.where = (str(route.listener), route.method, route.path)
        self.waits = inspect.iscoroutinefunction(route.handler)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.answer(Request(scope, receive))
        await response(scope, receive, send)

    async def answer(self, request: Request) -> Response:
        """Never raises, whatever a caller does."""
        started = time.perf_counter()
        passage = Passage(self, request)
        cause = ""
        try:
            answer = await passage.answer()
        except ApiError as error:
            answer, cause = refuse(error, passage.call.request), error.cause or error.code
            await self._refused(error, passage.call)
        except StoreUnavailableError as error:
            down = unavailable("store-unavailable", "the store is not available")
            answer, cause = refuse(down, passage.call.request), str(error)
        except Exception as error:  # noqa: BLE001 - a fault of this program ends one request, never the process
            answer, cause = _tell_fault(error, passage.call.request), "internal"
        reach("before-answer")
        self._tell(passage.call, request.method, answer.status, time.perf_counter() - started, cause)
        return make_response(answer)

    def _tell(self, call: Call, method: str, status: int, seconds: float, cause: str) -> None:
        self.context.metrics.answered(self.where, status, seconds)
        write(Line(call.peer, call.caller.node, method, self.route.path, status, seconds, call.request, cause))

    async def _refused(self, error: ApiError, call: Call) -> None:
        """Refused credentials and roles leave an audit row, at most one a minute for each peer or node."""
        self.context.metrics.refused(error.code)
        if error.status not in {401, 403}:
            return
        detail = {"route": self.route.path, "cause": error.cause or error.message}
        denied = AuditEvent(
            "denied", call.caller.node, outcome="denied", request=call.request, peer=call.peer, detail=detail
        )
        if worthy := self.context.worth(denied):
            await asyncio.to_thread(self._record, worthy)

    def _record(self, denied: AuditEvent) -> None:
        try:
            self.context.store.transact(lambda transaction: transaction.record(denied))
        except StoreUnavailableError as unable:
            log.warning("a refusal was not recorded: %s", unable)


class Passage:
    """One request on its road. `call` grows as more is known of it, also for the log when it is refused."""

    def __init__(self, road: Road, request: Request) -> None:
        self._road = road
        self._request = request
        self._limits = road.context.settings.limits
        scope = request.scope
        self._headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # of a name that is there twice, the first
        self.call = Call(
            request=secrets.token_hex(6),
            peer=scope["client"][0] if scope["client"] else "",
            path={name: str(value) for name, value in scope.get("path_params", {}).items()},
            query=scope["query_string"].decode("latin-1"),
            etag=self._header(b"if-none-match"),
        )

    def _header(self, name: bytes) -> str:
        return self._headers.get(name, b"").decode("latin-1")

    async def answer(self) -> Answer:
        """Nothing of a body is read before method, rate, credential and role were judged.

        Each change of threads costs more than a look at a store on this machine: that is done in the loop itself.
        """
        self._admit()
        route = self._road.route
        if not route.body and not self._road.waits:
            return await self._run(self._judged_and_done, at_once=route.quick)
        await self._run(self._judge, at_once=True)
        if route.streamed:
            self._check_type()
            self._take(stream=body_pieces(self._request, route.body, self._limits.blob_pause))
        elif route.body:
            await self._read()
        if not self._road.waits:
            return await self._in_thread(self._done)
        answer = cast("Awaitable[Answer]", route.handler(self._road.context, self.call))
        return await (self._counted(answer) if route.body and not route.streamed else answer)

    def _take(self, **known: object) -> None:
        self.call = self.call._replace(**known)  # type: ignore[arg-type]  # fields of Call

    def _admit(self) -> None:
        """What costs nothing comes first, on the loop itself."""
        request, road = self._request, self._road
        if request.method != road.route.method and not self._is_head():
            raise ApiError(405, "method-not-allowed", "this route is not for that method")
        if road.route.listener is Listener.UI and not LOCAL.fullmatch(self._header(b"host")):
            raise ApiError(421, "other-host", "this page is for 127.0.0.1 and localhost only")
        if road.route.auth is not Auth.OPERATOR:
            _slow_down(road.traffic.peer_rate.take(self.call.peer))
            _slow_down(road.traffic.all_rate.take(""))
        if road.traffic.in_flight >= self._limits.requests_in_flight:
            raise unavailable("busy", "too many requests at once")

    def _is_head(self) -> bool:
        """UEFI asks for the size of a boot file before it fetches it (UEFI 2.10, section 24.7.3)."""
        route = self._road.route
        return self._request.method == "HEAD" and route.listener is Listener.PLAIN and route.method == "GET"

    def _judge(self) -> None:
        """Credential, the node's own rate, role."""
        road, context = self._road, self._road.context
        caller = authenticate(road.route.auth, self._header(b"authorization"), context.inventory, context.store)
        self._take(caller=caller)
        if caller.scheme is Scheme.NODE:
            _slow_down(context.node_rate.take(caller.node))
        authorise(road.route.who, caller, context.inventory)

    def _done(self) -> Answer:
        return cast("Answer", self._road.route.handler(self._road.context, self.call))

    def _judged_and_done(self) -> Answer:
        self._judge()
        return self._done()

    async def _run(self, work: Callable[[], T], *, at_once: bool) -> T:
        """Work that only reads, at once where reading waits for nobody; everything else in a thread."""
        if at_once and self._road.context.store.reads_at_once:
            return work()
        return await self._in_thread(work)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await self._counted(asyncio.to_thread(work))

    async def _counted(self, work: Awaitable[T]) -> T:
        """Counts what a thread works for, or will; long-polls and uploads do not keep others from being served."""
        metrics, traffic = self._road.context.metrics, self._road.traffic
        traffic.in_flight += 1
        metrics.in_flight.set(traffic.in_flight)
        try:
            return await work
        finally:
            traffic.in_flight -= 1
            metrics.in_flight.set(traffic.in_flight)

    async def _read(self) -> None:
        """At most the route's limit, in time, and of its type."""
        body = await read_body(self._request, self._road.route.body, self._limits.body_time)
        if body:
            self._check_type()
        self._take(body=body)

    def _check_type(self) -> None:
        media_type = self._header(b"content-type").partition(";")[0].strip().lower()
        if media_type != self._road.route.media_type:
            raise ApiError(415, "unsupported-type", f"the body must be {self._road.route.media_type}")


def _slow_down(wait: float) -> None:
    if wait:
        raise ApiError(429, "too-many-requests", "ask more slowly", retry_after=int(wait) + 1)


async def _no_route(request: Request, error: Exception) -> Response:
    """404 and 405 in the form of every other error. The path is the caller's text, so it is not logged."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    code = "method-not-allowed" if status == 405 else "not-found"
    name = secrets.token_hex(6)
    write(
        Line(
            request.client.host if request.client else "", "", request.method[:8], "(no such route)", status, 0.0, name
        )
    )
    return make_response(refuse(ApiError(status, code, "no such route"), name))


async def _fault(request: Request, error: Exception) -> Response:
    """What Starlette itself stumbled over."""
    del request
    return make_response(_tell_fault(error, secrets.token_hex(6)))


def _tell_fault(error: Exception, request: str) -> Answer:
    """A fault of this program: the caller learns nothing but a number to ask the operator about."""
    log.error("request %s failed", request, exc_info=error)
    return refuse(ApiError(500, "internal", "the coordinator has a fault"), request)
