"""Knows the road of every request through Starlette: limits, authentication, role, body, handler, answer, log line."""

import asyncio
import inspect
import logging
import random
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route as StarletteRoute

from http_server.authenticate import authenticate, authorise
from http_server.body import body_pieces, read_body
from http_server.errors import ApiError, unavailable
from http_server.failpoint import reach
from http_server.limit import Rate
from http_server.model import AuditEvent, Auth, Scheme
from http_server.ports import StoreUnavailableError
from http_server.request_log import Line, write
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


def build_app(context: Context, listener: Listener, routes: tuple[Route, ...], traffic: Traffic) -> Starlette:
    """The ASGI application of one listener: the table's routes and nothing else."""
    roads = [Road(context, route, traffic) for route in check_routes(routes) if route.listener is listener]
    table = [StarletteRoute(road.route.path, road.answer, methods=[road.route.method]) for road in roads]
    app = Starlette(routes=table, exception_handlers={HTTPException: _no_route, Exception: _fault})
    app.router.redirect_slashes = False
    return app


class Road:
    """One route: every request takes the same steps in the same order."""

    def __init__(self, context: Context, route: Route, traffic: Traffic) -> None:
        self.route = route
        self.context = context
        self.traffic = traffic
        self.waits = inspect.iscoroutinefunction(route.handler)

    async def answer(self, request: Request) -> Response:
        """Never raises for anything a caller can cause."""
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
        reach("before-answer")
        self._tell(passage.call, request.method, answer.status, time.perf_counter() - started, cause)
        return _response(answer)

    def _tell(self, call: Call, method: str, status: int, seconds: float, cause: str) -> None:
        route = self.route
        self.context.metrics.answered((route.listener, route.method, route.path), status, seconds)
        write(Line(call.peer, call.caller.node, method, route.path, status, seconds, call.request, cause))

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
        self.call = Call(
            request=secrets.token_hex(6),
            peer=request.client.host if request.client else "",
            path={name: str(value) for name, value in request.path_params.items()},
            query=request.scope["query_string"].decode("latin-1"),
            etag=request.headers.get("if-none-match", ""),
        )

    async def answer(self) -> Answer:
        """Nothing of a body is read before method, rate, credential and role were judged.

        What reads no body and does not wait is judged and done in one go: each change of threads costs.
        """
        self._admit()
        route = self._road.route
        if not route.body and not self._road.waits:
            return await self._in_thread(self._judged_and_done)
        await self._in_thread(self._judge)
        if route.streamed:
            self._check_type()
            self._take(stream=body_pieces(self._request, route.body, self._limits.blob_pause))
        elif route.body:
            await self._read()
        if self._road.waits:
            return await cast("Awaitable[Answer]", route.handler(self._road.context, self.call))
        return await self._in_thread(self._done)

    def _take(self, **known: object) -> None:
        self.call = replace(self.call, **known)  # type: ignore[arg-type]  # fields of Call

    def _admit(self) -> None:
        """What costs nothing comes first, on the loop itself."""
        request, road = self._request, self._road
        if request.method != road.route.method and not self._is_head():
            raise ApiError(405, "method-not-allowed", "this route is not for that method")
        if road.route.listener is Listener.UI and not LOCAL.fullmatch(request.headers.get("host", "")):
            raise ApiError(421, "other-host", "this page is for 127.0.0.1 and localhost only")
        if _head_size(request) > self._limits.header:
            raise ApiError(400, "head-too-large", "the request's head is too large")
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
        header = self._request.headers.get("authorization", "")
        caller = authenticate(road.route.auth, header, context.inventory, context.store)
        self._take(caller=caller)
        if caller.scheme is Scheme.NODE:
            _slow_down(context.node_rate.take(caller.node))
        authorise(road.route.who, caller, context.inventory)

    def _done(self) -> Answer:
        return cast("Answer", self._road.route.handler(self._road.context, self.call))

    def _judged_and_done(self) -> Answer:
        self._judge()
        return self._done()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Counts what holds a thread or waits for one; long-polls hold none."""
        metrics, traffic = self._road.context.metrics, self._road.traffic
        traffic.in_flight += 1
        metrics.in_flight.set(traffic.in_flight)
        try:
            return await asyncio.to_thread(work)
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
        media_type = self._request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != self._road.route.media_type:
            raise ApiError(415, "unsupported-type", f"the body must be {self._road.route.media_type}")


def _head_size(request: Request) -> int:
    """Bytes of the target and the headers. h11's own limit holds only for heads that arrive in pieces."""
    return (
        len(request.scope["path"])
        + len(request.scope["query_string"])
        + sum(len(name) + len(value) for name, value in request.headers.raw)
    )


def _slow_down(wait: float) -> None:
    if wait:
        raise ApiError(429, "too-many-requests", "ask more slowly", retry_after=int(wait) + 1)


class BootFile(FileResponse):
    """A file in pieces that are large enough for a fast network."""

    chunk_size = 2**20


def _response(answer: Answer) -> Response:
    """The HTTP answer. A refused body may still be on its way, so its connection ends here."""
    headers = {**answer.headers, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if answer.status in {429, 503}:  # spread: everybody was refused at the same moment
        asked = int(headers.get("Retry-After", "1"))
        headers["Retry-After"] = str(asked + random.randint(0, asked))  # noqa: S311 - jitter, not a secret
    if answer.status >= 400:
        headers["Connection"] = "close"
    if answer.stream:
        return StreamingResponse(answer.stream, answer.status, headers, media_type=answer.media_type)
    if answer.file:
        return BootFile(answer.file, answer.status, headers, media_type=answer.media_type)
    return Response(answer.body, answer.status, headers, media_type=answer.media_type)


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
    return _response(refuse(ApiError(status, code, "no such route"), name))


async def _fault(request: Request, error: Exception) -> Response:
    """A fault of this program: the caller learns nothing but a number to ask the operator about."""
    del request
    name = secrets.token_hex(6)
    log.error("request %s failed", name, exc_info=error)
    return _response(refuse(ApiError(500, "internal", "the coordinator has a fault"), name))
