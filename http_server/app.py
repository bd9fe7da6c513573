"""Knows the road of every request through Starlette: limits, authentication, role, body, handler, answer, log line."""

import asyncio
import inspect
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route as StarletteRoute

from http_server.authenticate import authenticate, authorise
from http_server.errors import ApiError, unavailable
from http_server.failpoint import reach
from http_server.limit import Rate
from http_server.model import AuditEvent, Auth, Caller, Scheme
from http_server.ports import StoreUnavailableError
from http_server.request_log import Line, write
from http_server.routes import Listener, Route, check_routes
from http_server.service.context import Context
from http_server.wire import Answer, Call, refuse

log = logging.getLogger("kubeseed.app")


@dataclass(slots=True)
class Traffic:
    """What is under way on all listeners, and how fast each peer asks."""

    peer_rate: Rate
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
        self._context = context
        self._traffic = traffic
        self._waits = inspect.iscoroutinefunction(route.handler)

    async def answer(self, request: Request) -> Response:
        """Never raises for anything a caller can cause."""
        started = time.perf_counter()
        call = Call(request=secrets.token_hex(6), peer=request.client.host if request.client else "")
        cause = ""
        try:
            call = await self._identified(request, call)
            answer = await self._handled(request, call)
        except ApiError as error:
            answer, cause = refuse(error, call.request), error.cause or error.code
            await asyncio.to_thread(self._remember, error, call)
        except StoreUnavailableError as error:
            answer, cause = (
                refuse(unavailable("store-unavailable", "the store is not available"), call.request),
                str(error),
            )
        reach("before-answer")
        seconds = time.perf_counter() - started
        write(
            Line(
                call.peer,
                call.caller.node,
                request.method,
                self.route.path,
                answer.status,
                seconds,
                call.request,
                cause,
            )
        )
        return _response(answer)

    async def _identified(self, request: Request, call: Call) -> Call:
        """Method, rate, credential, role: all that is decided before a byte of the body is read."""
        if request.method != self.route.method and not self._is_head(request):
            raise ApiError(405, "method-not-allowed", "this route is not for that method")
        if _head_size(request) > self._context.settings.limits.header:
            raise ApiError(400, "head-too-large", "the request's head is too large")
        self._admit(call.peer)
        header = request.headers.get("authorization", "")
        caller = await asyncio.to_thread(self._authenticate, header)
        if caller.scheme is Scheme.NODE:
            _slow_down(self._context.node_rate.take(caller.node))
        authorise(self.route.who, caller, self._context.inventory)
        return replace(call, caller=caller)

    def _is_head(self, request: Request) -> bool:
        """UEFI asks for the size of a boot file before it fetches it (UEFI 2.10, section 24.7.3)."""
        return request.method == "HEAD" and self.route.listener is Listener.PLAIN and self.route.method == "GET"

    def _authenticate(self, header: str) -> Caller:
        return authenticate(self.route.auth, header, self._context.inventory, self._context.store)

    def _admit(self, peer: str) -> None:
        if self.route.auth is not Auth.OPERATOR:
            _slow_down(self._traffic.peer_rate.take(peer))
        if self._traffic.in_flight >= self._context.settings.limits.requests_in_flight:
            raise unavailable("busy", "too many requests at once")

    async def _handled(self, request: Request, call: Call) -> Answer:
        call = replace(
            call,
            path={name: str(value) for name, value in request.path_params.items()},
            query=request.url.query,
            etag=request.headers.get("if-none-match", ""),
        )
        if self.route.streamed:
            self._check_type(request)
            stream = _pieces(request, self.route.body, self._context.settings.limits.blob_pause)
            return cast("Answer", await self.route.handler(self._context, replace(call, stream=stream)))  # type: ignore[misc]  # streamed handlers wait
        call = replace(call, body=await self._body(request))
        if self._waits:
            return cast("Answer", await self.route.handler(self._context, call))  # type: ignore[misc]  # _waits says which
        with self._under_way():
            return cast("Answer", await asyncio.to_thread(self.route.handler, self._context, call))

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        """Counts what holds a thread; long-polls hold none."""
        self._traffic.in_flight += 1
        try:
            yield
        finally:
            self._traffic.in_flight -= 1

    async def _body(self, request: Request) -> bytes:
        """At most the route's limit, in time, and of its type; nothing is read where no body belongs."""
        if not self.route.body:
            return b""
        try:
            async with asyncio.timeout(self._context.settings.limits.body_time):
                body = await _read(request, self.route.body)
        except TimeoutError:
            raise ApiError(400, "body-too-slow", "the body did not arrive in time") from None
        if body:
            self._check_type(request)
        return body

    def _check_type(self, request: Request) -> None:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != self.route.media_type:
            raise ApiError(415, "unsupported-type", f"the body must be {self.route.media_type}")

    def _remember(self, error: ApiError, call: Call) -> None:
        """Refused credentials and roles leave an audit row, at most one a minute for each peer or node."""
        if error.status not in {401, 403}:
            return
        detail = {"route": self.route.path, "cause": error.cause or error.message}
        denied = AuditEvent(
            "denied", call.caller.node, outcome="denied", request=call.request, peer=call.peer, detail=detail
        )
        worthy = self._context.worth(denied)
        if worthy:
            try:
                self._context.store.transact(lambda transaction: transaction.record(worthy))
            except StoreUnavailableError as unable:
                log.warning("a refusal was not recorded: %s", unable)


async def _read(request: Request, limit: int) -> bytes:
    too_large = ApiError(413, "too-large", f"the body may have at most {limit} bytes")
    if int(request.headers.get("content-length", "0")) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)


async def _pieces(request: Request, limit: int, pause: float) -> AsyncIterator[bytes]:
    """The body as it arrives: at most `limit` bytes, no piece later than `pause` seconds after the one before."""
    too_large = ApiError(413, "too-large", f"the body may have at most {limit} bytes")
    if int(request.headers.get("content-length", "0")) > limit:
        raise too_large
    arriving, size = aiter(request.stream()), 0
    while True:
        try:
            async with asyncio.timeout(pause):
                piece = await anext(arriving)
        except StopAsyncIteration:
            return
        except (TimeoutError, ClientDisconnect):
            raise ApiError(400, "body-too-slow", "the body did not arrive in time") from None
        size += len(piece)
        if size > limit:
            raise too_large
        yield piece


def _head_size(request: Request) -> int:
    """Bytes of the target and the headers. h11's own limit holds only for heads that arrive in pieces."""
    return (
        len(request.url.path)
        + len(request.url.query)
        + sum(len(name) + len(value) for name, value in request.headers.raw)
    )


def _slow_down(wait: float) -> None:
    if wait:
        raise ApiError(429, "too-many-requests", "ask more slowly", retry_after=int(wait) + 1)


def _response(answer: Answer) -> Response:
    """The HTTP answer. A refused body may still be on its way, so its connection ends here."""
    headers = {**answer.headers, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if answer.status in {429, 503}:  # spread: everybody was refused at the same moment
        asked = int(headers.get("Retry-After", "1"))
        headers["Retry-After"] = str(asked + random.randint(0, asked))  # noqa: S311 - jitter, not a secret
    if answer.status >= 400:
        headers["Connection"] = "close"
    if answer.file:
        return FileResponse(answer.file, answer.status, headers, media_type=answer.media_type)
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
