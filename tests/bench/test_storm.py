"""Measures a boot storm: every node enrols, fetches its files, reports its stages, gets a certificate and joins."""

import asyncio
import os
import ssl
import statistics
import time
from pathlib import Path

import httpx
import pytest

from tests.http.process import Coordinator, running
from tests.http.test_certificate import p256, request

NODES = int(os.environ.get("KUBESEED_STORM_NODES", "100"))
STAGES = ("preflight", "clock", "enrol", "files", "base", "pki", "verify")


async def ask(
    coordinator: Coordinator, trust: ssl.SSLContext, seconds: list[float], *words: str, **more: object
) -> httpx.Response:
    """One request on a connection of its own, as curl makes it; 429, 503 and lost answers are tried again."""
    method, path, header = words
    url = f"https://127.0.0.1:{coordinator.port}{path}"
    started = time.monotonic()
    while True:
        try:
            async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=60) as client:
                answer = await client.request(method, url, headers={"Authorization": header, **kind(path)}, **more)  # type: ignore[arg-type]  # data or content
        except httpx.TransportError:
            await asyncio.sleep(1)
            continue
        if answer.status_code not in {429, 503}:
            seconds.append(time.monotonic() - started)
            return answer
        await asyncio.sleep(float(answer.headers["retry-after"]))


def kind(path: str) -> dict[str, str]:
    return {"Content-Type": "application/pkcs10"} if "certificates" in path else {}


async def boot(coordinator: Coordinator, trust: ssl.SSLContext, name: str, seconds: list[float]) -> int:
    machine = coordinator.machine(name)
    form = machine.form()
    assert (
        await ask(coordinator, trust, seconds, "POST", "/v1/enrol", coordinator.out.seal(name), data=form)
    ).status_code == 200
    await ask(coordinator, trust, seconds, "GET", "/v1/files", machine.header)
    for stage in STAGES:
        for state in ("started", "done"):
            word = {"stage": stage, "state": state, "seconds": "1", "attempt": "1", "log": "x" * 1000}
            await ask(coordinator, trust, seconds, "POST", "/v1/reports", machine.header, data=word)
    path = "/v1/certificates/kubelet-serving"
    await ask(coordinator, trust, seconds, "POST", path, machine.header, content=request(p256()))
    return (await ask(coordinator, trust, seconds, "GET", "/v1/join?wait=25", machine.header)).status_code


@pytest.mark.bench
def test_a_boot_storm(tmp_path: Path) -> None:
    with running(tmp_path) as coordinator:
        for number in range(NODES):
            coordinator.out.add_worker(f"n{number}")
        coordinator.kill()
        coordinator.out.write_inventory()
        coordinator.start()
        coordinator.machine("m1").enrolled().initialise()
        seconds: list[float] = []

        async def storm() -> list[int]:
            return await asyncio.gather(*(boot(coordinator, coordinator.trust, f"n{n}", seconds) for n in range(NODES)))

        started = time.monotonic()
        assert set(asyncio.run(storm())) == {200}
        took = time.monotonic() - started
        cuts = statistics.quantiles(seconds, n=100)
        print(  # noqa: T201 - this is what a measurement is for
            f"{NODES} nodes, {len(seconds)} requests in {took:.1f} s ({len(seconds) / took:.0f}/s);"
            f" median {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms"
        )
