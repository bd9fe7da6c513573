"""Knows how a request's body is read: never more than the route's limit, never longer than its time."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from http_server.errors import ApiError


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """At most `limit` bytes that arrive within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            return await _read(request, limit)
    except (TimeoutError, ClientDisconnect):
        raise ApiError(400, "body-too-slow", "the body did not arrive in time") from None


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


async def body_pieces(request: Request, limit: int, pause: float) -> AsyncIterator[bytes]:
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
