"""Simulated workers that boot at the same moment: the requests of their scripts, each on a TLS connection of its own.

Each node has a loopback address of its own, as machines have, and retries for ever with full jitter, as they do.
"""

import asyncio
import hashlib
import json
import random
import resource
import ssl
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import uvloop

from tests.http.test_certificate import p256, request

CSR = request(p256())
FORM, PKCS10 = "application/x-www-form-urlencoded", "application/pkcs10"
LOG = "x" * 1000
ANSWER_SECONDS = 60.0
MOST_ROUNDS = 200


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


FILES = (Ask("GET", "/v1/files"),)
CERTIFICATES = tuple(
    Ask("POST", f"/v1/certificates/{kind}", PKCS10, CSR) for kind in ("kubelet-serving", "kubelet-client")
)
JOIN = (Ask("GET", "/v1/authorities"), *CERTIFICATES, Ask("GET", "/v1/backends"), Ask("GET", "/v1/join?wait=25"))
STAGE_REQUESTS = {"files": FILES, "join": JOIN}


class Storm:
    """All of them, and the one coordinator."""

    def __init__(self, port: int, trust: ssl.SSLContext, stages: list[str]) -> None:
        self._port = port
        self._trust = trust
        self._stages = stages

    async def boot(self, node: Node) -> None:
        """A worker's first boot without the work between the requests."""
        began = time.monotonic()
        await self._ask(node, Ask("POST", "/v1/enrol", FORM, node.enrolment(), node.seal))
        for stage in self._stages:
            await self._report(node, stage, "started")
            for ask in STAGE_REQUESTS.get(stage, ()):
                await self._ask(node, ask)
            await self._report(node, stage, "done")
        node.seconds = time.monotonic() - began

    async def _report(self, node: Node, stage: str, state: str) -> None:
        word = {"stage": stage, "state": state, "seconds": "1", "attempt": "1", "log": LOG}
        await self._ask(node, Ask("POST", "/v1/reports", FORM, urlencode(word).encode()))

    async def _ask(self, node: Node, ask: Ask) -> None:
        lines = [f"{ask.method} {ask.path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: {ask.header or node.header}"]
        lines += [f"Content-Type: {ask.kind}", f"Content-Length: {len(ask.body)}"] if ask.body else []
        message = "\r\n".join([*lines, "", ""]).encode() + ask.body
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
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return 0, 0.0

    async def _exchange(self, address: str, message: bytes) -> tuple[int, float]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._port, ssl=self._trust, server_hostname="127.0.0.1", local_addr=(address, 0)
        )
        try:
            writer.write(message)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            fields = dict(line.split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
            await reader.readexactly(int(fields.get("content-length", "0")))
            return int(head.split()[1]), float(fields.get("retry-after", "0"))
        finally:
            writer.transport.abort()


def main(order: Path) -> None:
    """Runs the storm that the file orders, and prints what it was as JSON."""
    wanted = json.loads(order.read_text())
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    nodes = [Node(**node) for node in wanted["nodes"]]
    storm = Storm(wanted["port"], ssl.create_default_context(cafile=wanted["trust"]), wanted["stages"])

    async def run() -> None:
        await asyncio.gather(*map(storm.boot, nodes))

    began = time.monotonic()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    took = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({  # noqa: T201 - the answer to the parent
        "took": took, "cpu": used.ru_utime + used.ru_stime, "conversations": [node.seconds for node in nodes],
        "single": [seconds for node in nodes for seconds in node.single],
        "requests": sum(node.requests for node in nodes), "retries": sum(node.retries for node in nodes),
    }))  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
