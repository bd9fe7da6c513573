"""Knows how the operator's commands reach a running coordinator: HTTP over its unix socket."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from http_server.errors import StartError
from http_server.settings import Out
from http_server.wire import FORM

SECONDS = 30.0


class RefusedError(Exception):
    """The coordinator said no; `str` is its sentence."""


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(str(self._path))


class Operator:
    """One question at a time to the coordinator of OUT."""

    def __init__(self, out: Out) -> None:
        self._out = out

    def get(self, path: str) -> Any:
        """The JSON answer of a GET."""
        return json.loads(self._ask("GET", path, None))

    def post(self, path: str, **fields: str) -> str:
        """The one line that answers a POST."""
        return self._ask("POST", path, urlencode(fields)).decode().strip()

    def _ask(self, method: str, path: str, body: str | None) -> bytes:
        connection = _SocketConnection(self._out.socket)
        try:
            connection.request(method, path, body, {"Content-Type": FORM} if body is not None else {})
            answer = connection.getresponse()
            data = answer.read()
        except (FileNotFoundError, ConnectionRefusedError):
            raise StartError(f"no coordinator serves {self._out.root}", f"kubeseed serve {self._out.root}") from None
        except PermissionError:
            raise StartError(
                f"{self._out.socket} is not for you", "use the user that runs the coordinator, or root"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise StartError(f"the coordinator does not answer: {error}", f"kubeseed serve {self._out.root}") from None
        finally:
            connection.close()
        if answer.status != 200:
            raise RefusedError(str(json.loads(data)["message"]))
        return data
