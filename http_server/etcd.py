"""Knows how etcd v3 is asked: over TLS with a client certificate, one endpoint after the other, always linearizable."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from etcd3gw.client import Etcd3Client
from etcd3gw.exceptions import Etcd3Exception
from requests.adapters import HTTPAdapter

from http_server.settings import EtcdAddress

SECONDS = 3.0
CONNECTIONS = 40
Operation = Mapping[str, Any]


class EtcdError(Exception):
    """No usable answer. A change that was sent may have happened, or may still happen."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key, its value, and the revision that wrote it."""

    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Found:
    """What each range of a question found, at one revision of the whole store."""

    revision: int
    ranges: tuple[tuple[Entry, ...], ...]


def get(key: str) -> Operation:
    """One key."""
    return {"request_range": {"key": _text(key)}}


def below(prefix: str, *, above_revision: int = 0) -> Operation:
    """All keys that begin with `prefix` and were written after a revision."""
    wanted = {"key": _text(prefix), "range_end": _text(_after(prefix))}
    return {"request_range": {**wanted, "min_mod_revision": str(above_revision + 1)}}


def part(first: str, prefix: str, limit: int) -> Operation:
    """At most `limit` keys from `first` on that begin with `prefix`, in order."""
    wanted = {"key": _text(first), "range_end": _text(_after(prefix)), "limit": str(limit)}
    return {"request_range": {**wanted, "sort_order": "ASCEND", "sort_target": "KEY"}}


def put(key: str, value: bytes) -> Operation:
    """Writes one key."""
    return {"request_put": {"key": _text(key), "value": b64encode(value).decode()}}


def delete(key: str) -> Operation:
    """Removes one key."""
    return {"request_delete_range": {"key": _text(key)}}


def _text(key: str) -> str:
    return b64encode(key.encode()).decode()


def _after(prefix: str) -> str:
    """The first key behind all that begin with an ASCII prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


class Etcd:
    """A cluster of etcd. Its JSON gateway is spoken to, because that needs no compiled library."""

    def __init__(self, address: EtcdAddress, files: Path) -> None:
        self._clients = [_client(endpoint, files) for endpoint in address.endpoints]

    def ask(self, *ranges: Operation) -> Found:
        """Reads at one revision, by whichever endpoint answers first; a member without a majority never does."""
        problem = EtcdError("no endpoint")
        for client in tuple(self._clients):
            try:
                return _found(_transact(client, [], ranges))
            except EtcdError as error:
                problem = error
                self._avoid(client)
        raise problem

    def change(self, guard: str, revision: int, operations: Sequence[Operation]) -> bool:
        """Writes everything if the guard key was last written by that revision (0: never), else nothing.

        Only one endpoint is asked: after an EtcdError the caller has to look what became of it.
        """
        compare = {"key": _text(guard), "target": "MOD", "result": "EQUAL", "mod_revision": str(revision)}
        client = self._clients[0]
        try:
            return bool(_transact(client, [compare], operations).get("succeeded", False))
        except EtcdError:
            self._avoid(client)
            raise

    def _avoid(self, client: Etcd3Client) -> None:
        """Asks another one first from now on."""
        self._clients = [*(other for other in self._clients if other is not client), client]

    def close(self) -> None:
        """Ends all connections."""
        for client in self._clients:
            client.session.close()


def _client(endpoint: str, files: Path) -> Etcd3Client:
    parts = urlsplit(endpoint)
    session = requests.Session()
    session.trust_env = False  # neither a proxy nor .netrc of the environment
    session.mount("https://", HTTPAdapter(pool_maxsize=CONNECTIONS))
    session.verify = str(files / "ca.crt")
    session.cert = (str(files / "client.crt"), str(files / "client.key"))
    return Etcd3Client(
        parts.hostname or "", parts.port or 2379, "https", timeout=SECONDS, api_path="/v3/", session=session
    )


def _transact(client: Etcd3Client, compare: Sequence[Operation], operations: Sequence[Operation]) -> dict[str, Any]:
    try:
        answer: Any = client.transaction({"compare": list(compare), "success": list(operations), "failure": []})
    except Etcd3Exception as error:
        raise EtcdError(f"{client.base_url}: {_reason(error)}") from error
    except (requests.RequestException, OSError, ValueError) as error:
        raise EtcdError(f"{client.base_url}: {type(error).__name__}") from error
    if not isinstance(answer, dict):
        raise EtcdError(f"{client.base_url}: not etcd's answer")
    return answer


def _reason(error: Etcd3Exception) -> str:
    """etcd's own sentence, when the body holds one."""
    text = error.detail_text or str(error) or type(error).__name__
    try:
        return str(json.loads(text).get("error") or text)[:300]
    except (ValueError, AttributeError):
        return text[:300]


def _found(answer: Mapping[str, Any]) -> Found:
    try:
        responses = answer.get("responses", ())
        ranges = tuple(tuple(map(_entry, one["response_range"].get("kvs", ()))) for one in responses)
        return Found(int(answer["header"]["revision"]), ranges)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EtcdError("not etcd's answer") from error


def _entry(data: Mapping[str, str]) -> Entry:
    return Entry(b64decode(data["key"]).decode(), b64decode(data.get("value", "")), int(data["mod_revision"]))
