"""Knows the status page: three files that a browser shows as they are, and the stream that keeps them true."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from http_server.model import EnrolmentState
from http_server.service.context import Context
from http_server.service.operator import status_data
from http_server.wire import Answer, Call

HERE = Path(__file__).parent
# The page loads its own two files and nothing else; no other page may frame it or send a form from it.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}
LOOK_SECONDS = 1.0
SIGN_OF_LIFE = 15.0
MOST_LOG_LINES = 12


def page(context: Context, call: Call) -> Answer:
    """GET /: the page."""
    del context, call
    return _file("page.html", "text/html; charset=utf-8")


def style(context: Context, call: Call) -> Answer:
    """GET /page.css: its colours and sizes."""
    del context, call
    return _file("page.css", "text/css; charset=utf-8")


def script(context: Context, call: Call) -> Answer:
    """GET /page.js: what keeps it up to date."""
    del context, call
    return _file("page.js", "text/javascript; charset=utf-8")


def _file(name: str, media_type: str) -> Answer:
    return Answer(body=(HERE / name).read_bytes(), media_type=media_type, headers=HEADERS)


async def stream(context: Context, call: Call) -> Answer:
    """GET /stream: server-sent events (HTML Living Standard, 9.2): the whole picture first, then what changes."""
    del call
    return Answer(stream=_events(context), media_type="text/event-stream")


async def _events(context: Context) -> AsyncIterator[bytes]:
    board, seen, silent = context.board, 0, 0.0
    yield b"retry: 2000\n\n"
    while not context.bell.stopping:
        ring = context.bell.listen()
        await board.renew(lambda: picture(context))
        news, seen = board.news(seen), board.step
        if news:
            yield f"data: {news}\n\n".encode()
            silent = 0.0
        elif silent >= SIGN_OF_LIFE:
            yield b": still here\n\n"
            silent = 0.0
        await context.bell.wait(ring, LOOK_SECONDS)
        silent += LOOK_SECONDS


def picture(context: Context) -> Mapping[str, object]:
    """The cluster in pieces: its head, and one piece for each node."""
    status = status_data(context)
    head = {
        **{key: status[key] for key in ("cluster", "stages", "init", "slot", "strangers")},
        "backup": _backup(status["backup"]),
        "out": str(context.settings.out.root),
    }
    nodes = {f"node {name}": _node(node, status["stages"]) for name, node in status["nodes"].items()}
    return {"head": head, "order": list(status["nodes"]), **nodes}


def _backup(backup: Mapping[str, Any]) -> Mapping[str, object]:
    """The moment it was taken, not its age: so the piece changes only when there is a new one."""
    return {key: backup[key] for key in ("expected", "count", "id", "taken", "bytes", "stale")}


def _node(node: Mapping[str, Any], stages: tuple[str, ...]) -> Mapping[str, object]:
    words = [node["stages"].get(stage) for stage in stages]
    shown: dict[str, object] = {
        **{key: node[key] for key in ("roles", "address", "generation", "state", "boot")},
        "stages": [_word(word) for word in words],
    }
    if node["state"] == EnrolmentState.PENDING:
        shown |= {"fingerprint": node["fingerprint"], "facts": node["facts"]}
    return shown


def _word(word: Mapping[str, Any] | None) -> object:
    """State, seconds, attempts, moment and, of a stage in trouble, its last lines."""
    if word is None:
        return None
    lines = word["log"].strip().splitlines()[-MOST_LOG_LINES:]
    return [word["state"], word["seconds"], word["attempts"], word["at"], *(["\n".join(lines)] if lines else [])]
