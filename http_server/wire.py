"""Knows what a handler gets and what it gives back, apart from any HTTP library."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from http_server.errors import ApiError
from http_server.model import Caller, Scheme

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
TAR = "application/x-tar"
PEM = "application/x-pem-file"
FORM = "application/x-www-form-urlencoded"
CSR = "application/pkcs10"
BYTES = "application/octet-stream"


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


class Call(NamedTuple):
    """One request that passed the limits: who asks, the route's parameters, the body, an id for the log.

    The body of a streamed route is in `stream`, piece by piece, and its limit is kept while it is read.
    """

    caller: Caller = Caller(Scheme.NONE)
    request: str = ""
    peer: str = ""
    path: Mapping[str, str] = MappingProxyType({})
    query: str = ""
    body: bytes = b""
    etag: str = ""
    stream: AsyncIterator[bytes] = _nothing()


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; `headers` never carries a secret. With `file`, that file's bytes are the body, and ranges work.

    With `stream`, the body goes on for as long as its pieces come.
    """

    status: int = 200
    body: bytes = b""
    media_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None
    stream: AsyncIterator[bytes] | None = None


def say(text: str, **headers: str) -> Answer:
    """200 with one line of text."""
    return Answer(body=f"{text}\n".encode(), headers=headers)


def give(data: object) -> Answer:
    """200 with JSON."""
    return Answer(body=json.dumps(data, indent=1).encode() + b"\n", media_type=JSON)


def later(reason: str, seconds: int) -> Answer:
    """202: accepted, ask again after so many seconds."""
    return Answer(202, f"{reason}\n".encode(), headers={"Retry-After": str(seconds)})


def tagged(call: Call, body: bytes, media_type: str) -> Answer:
    """200 with an entity tag (RFC 9110 section 8.8.3), or 304 when the caller has these bytes already."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if tag in {part.strip().removeprefix("W/") for part in call.etag.split(",")}:
        return Answer(304, headers={"ETag": tag})
    return Answer(200, body, media_type, {"ETag": tag})


def refuse(error: ApiError, request: str) -> Answer:
    """The public face of an error, docs/protocol.md."""
    body = json.dumps({"error": error.code, "message": error.message, "request": request})
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    return Answer(error.status, f"{body}\n".encode(), JSON, headers)
