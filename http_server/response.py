"""Knows how an answer becomes HTTP: its headers, and the kinds of bodies."""

import random

from starlette.responses import FileResponse, Response, StreamingResponse

from http_server.wire import Answer


class BootFile(FileResponse):
    """A file in pieces that are large enough for a fast network."""

    chunk_size = 2**20


def make_response(answer: Answer) -> Response:
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
