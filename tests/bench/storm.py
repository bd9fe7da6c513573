"""Simulated workers that boot at the same moment: the requests of their scripts, each on a TLS connection of its own.

Each node has a loopback address of its own, as machines have, and retries for ever with full jitter, as they do.
"""

import asyncio
import hashlib
import json
import random
import re
import resource
import ssl
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import urlencode

import uvloop

from tests.http.test_certificate import p256, request

CSR = request(p256())
FORM, PKCS10 = "application/x-www-form-urlencoded", "application/pkcs10"
LOG = "x" * 1000
ANSWER_SECONDS = 60.0
MOST_ROUNDS = 200
LENGTH, RETRY = (re.compile(name + rb": *([0-9]+)", re.IGNORECASE) for name in (b"content-length", b"retry-after"))


@dataclass
class Node:
    """One machine: its seed, its credential, its address, and how its conversation went."""

    name: str
    seal: str
    mac: str
    address: str
    credential: str
    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    single: list[float] = field(default_factory=list)

    @property
    def header(self) -> str:
        return f"Node {self.name}:{self.credential}"

    def enrolment(self) -> bytes:
        digest = hashlib.sha256(self.credential.encode()).hexdigest()
        facts = {"product_uuid": f"uuid-{self.name}", "serial": "S1", "arch": "x86_64", "os": "debian 12"}
        form = {"node": self.name, "generation": "1", "digest": digest, "mac": self.mac, "kernel": "6.1", **facts}
        return urlencode(form).encode()


@dataclass(frozen=True)
class Ask:
    """One request; without a header of its own it is the node's."""

    method: str
    path: str
    kind: str = ""
    body: bytes = b""
    header: str = ""

    def message(self, node: Node) -> bytes:
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"Content-Type: {self.kind}", f"Content-Length: {len(self.body)}"] if self.body else []
        return "\r\n".join([*lines, f"Authorization: {self.header or node.header}", "", ""]).encode() + self.body


def report(stage: str, state: str) -> Ask:
    word = {"stage": stage, "state": state, "seconds": "1", "attempt": "1", "log": LOG}
    return Ask("POST", "/v1/reports", FORM, urlencode(word).encode())


FILES = (Ask("GET", "/v1/files"),)
CERTIFICATES = tuple(
    Ask("POST", f"/v1/certificates/{kind}", PKCS10, CSR) for kind in ("kubelet-serving", "kubelet-client")
)
JOIN = (Ask("GET", "/v1/authorities"), *CERTIFICATES, Ask("GET", "/v1/backends"), Ask("GET", "/v1/join?wait=25"))
STAGE_REQUESTS = {"files": FILES, "join": JOIN}


class Exchange(asyncio.Protocol):
    """One request on a connection of its own; `answer` becomes its status and Retry-After."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._found = b""
        self.answer: asyncio.Future[tuple[int, float]] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._message)

    def data_received(self, data: bytes) -> None:
        self._found += data
        head, end, body = self._found.partition(b"\r\n\r\n")
        if end and len(body) >= number(LENGTH, head) and not self.answer.done():
            self.answer.set_result((int(head.split(b" ", 2)[1]), number(RETRY, head)))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc or ConnectionResetError("the connection ended before the answer"))


def number(pattern: re.Pattern[bytes], head: bytes) -> float:
    found = pattern.search(head)
    return float(found.group(1)) if found else 0.0


class Storm:
    """All of them, and the one coordinator."""

    def __init__(self, port: int, trust: ssl.SSLContext, stages: list[str]) -> None:
        self._port = port
        self._trust = trust
        self._road = tuple(
            ask
            for stage in stages
            for ask in (report(stage, "started"), *STAGE_REQUESTS.get(stage, ()), report(stage, "done"))
        )

    async def boot(self, node: Node) -> None:
        """A worker's first boot without the work between the requests."""
        began = time.monotonic()
        await self._ask(node, Ask("POST", "/v1/enrol", FORM, node.enrolment(), node.seal))
        for ask in self._road:
            await self._ask(node, ask)
        node.seconds = time.monotonic() - began

    async def _ask(self, node: Node, ask: Ask) -> None:
        message = ask.message(node)
        for attempt in range(MOST_ROUNDS):
            began = time.monotonic()
            status, told = await self._attempt(node, message)
            if status == 200:
                node.requests += 1
                node.single.append(time.monotonic() - began)
                return
            assert status in {0, 202, 429, 503}, f"{ask.path}: {status}"
            node.retries += 1
            pause = told if status == 202 else max(told, random.uniform(0, min(120.0, 2.0**attempt)))
            await asyncio.sleep(pause)
        raise AssertionError(f"{node.name} gave up at {ask.path}")

    async def _attempt(self, node: Node, message: bytes) -> tuple[int, float]:
        """Status and Retry-After; 0 when nobody answered."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._exchange(node.address, message)
        except (OSError, TimeoutError):
            return 0, 0.0

    async def _exchange(self, address: str, message: bytes) -> tuple[int, float]:
        transport, exchange = await asyncio.get_running_loop().create_connection(
            lambda: Exchange(message), "127.0.0.1", self._port, ssl=self._trust, server_hostname="127.0.0.1",
            local_addr=(address, 0),
        )  # fmt: skip
        try:
            return await exchange.answer
        finally:
            transport.abort()


def main(order: Path) -> None:
    """Runs the storm that the file orders, and prints what it was as JSON."""
    wanted = json.loads(order.read_text())
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    nodes = [Node(**node) for node in wanted["nodes"]]
    storm = Storm(wanted["port"], ssl.create_default_context(cafile=wanted["trust"]), wanted["stages"])

    began = time.monotonic()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        problems = runner.run(all_of(storm, nodes, wanted["seconds"]))
    took = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({  # noqa: T201 - the answer to the parent
        "took": took, "cpu": used.ru_utime + used.ru_stime, "problems": problems,
        "conversations": [node.seconds for node in nodes if node.seconds],
        "single": [seconds for node in nodes for seconds in node.single],
        "requests": sum(node.requests for node in nodes), "retries": sum(node.retries for node in nodes),
    }))  # fmt: skip


async def all_of(storm: Storm, nodes: list[Node], seconds: float) -> list[str]:
    """What kept nodes from their end: those that gave up or were refused, and those that were not done in time."""
    boots = [asyncio.create_task(storm.boot(node)) for node in nodes]
    done, late = await asyncio.wait(boots, timeout=seconds)
    for boot in late:
        boot.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    told = [str(error) for boot in done if (error := boot.exception())]
    return [*told, f"{len(late)} nodes were not done after {seconds} s"] if late else told


if __name__ == "__main__":
    main(Path(sys.argv[1]))
