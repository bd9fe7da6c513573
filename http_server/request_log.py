"""Knows how requests and events are logged, for people or as JSON. No header, body or query is ever written."""

import json
import logging
import sys
import time
from functools import lru_cache
from typing import NamedTuple

from http_server.form import printable

log = logging.getLogger("kubeseed.request")


class Line(NamedTuple):
    """One finished request. `route` is the table's path, never the caller's text."""

    peer: str
    node: str
    method: str
    route: str
    status: int
    seconds: float
    request: str
    cause: str = ""


def write(line: Line) -> None:
    """One line per request."""
    level = logging.WARNING if line.status >= 400 else logging.INFO
    log.log(level, line)


@lru_cache(2)
def _moment(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(second))


class PersonFormatter(logging.Formatter):
    """12:03:44 m1 POST /v1/enrol 200 12ms"""

    def format(self, record: logging.LogRecord) -> str:
        moment, line = _moment(int(record.created)), record.msg
        if not isinstance(line, Line):
            return f"{moment} {record.levelname.lower()}: {printable_lines(record.getMessage())}{_fault(record)}"
        who = line.node or line.peer or "-"
        cause = f" ({printable(line.cause)}, request {line.request})" if line.cause else ""
        return f"{moment} {who:<12} {line.method:<4} {line.route} {line.status} {line.seconds * 1000:.0f}ms{cause}"


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        line = record.msg
        common = {"at": round(record.created, 3), "level": record.levelname.lower()}
        if not isinstance(line, Line):
            return json.dumps({**common, "message": record.getMessage() + _fault(record)})
        return json.dumps({
            **common, "peer": line.peer, "node": line.node, "method": line.method, "route": line.route,
            "status": line.status, "ms": round(line.seconds * 1000, 1), "request": line.request, "cause": line.cause,
        })  # fmt: skip


def _fault(record: logging.LogRecord) -> str:
    """An unexpected exception as its kind and place: its text may quote what it worked on."""
    if not record.exc_info or not record.exc_info[1]:
        return ""
    trace = record.exc_info[2]
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f" [{type(record.exc_info[1]).__name__}{place}]"


def printable_lines(text: str) -> str:
    """Text with its line feeds and nothing else that could steer a terminal."""
    return "\n  ".join(printable(part) for part in text.splitlines())


def start_logging(*, as_json: bool) -> None:
    """Everything goes to standard error, uvicorn's own words only from errors on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else PersonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("uvicorn", "uvicorn.error", "asyncio", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    logging.raiseExceptions = False
    # No line tells thread, process or the place in the code, so they are not looked up (Logging HOWTO, Optimization).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
