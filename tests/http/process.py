"""The real coordinator as a process on loopback, and clients that speak to it as nodes and operators do."""

import atexit
import contextlib
import copy
import functools
import hashlib
import io
import multiprocessing
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx

from http_server.coordinator import assemble, serve
from http_server.request_log import start_logging
from http_server.settings import EtcdAddress, Limits, Listen, Out, Settings
from tests.backup.etcd import Member
from tests.http.etcd import share
from tests.http.outfolder import OutFolder, make_out

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = (
    "import typer; from http_server import cli, cli_store; app = typer.Typer(); "
    "cli.register(app); cli_store.register(app); app()"
)
START_SECONDS = 30.0
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.http.process"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def command(*words: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, *words]


def run_command(*words: str) -> subprocess.CompletedProcess[str]:
    """One of the coordinator's commands, as `kubeseed` would run it."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"}
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=60, env=environment, check=False)


@dataclass
class Coordinator:
    """A coordinator of one OUT folder; it can be killed and started again."""

    out: OutFolder
    port: int
    boot_port: int
    process: BaseProcess | None = None
    logs: list[Path] = field(default_factory=list)
    shared: EtcdAddress | None = None
    workers: int = 1
    limits: Limits = field(default_factory=Limits)
    ui_port: int = field(default_factory=free_port)

    def start(self, failpoint: str = "", *, wait: bool = True) -> None:
        """A process forked from one that has the modules loaded; it does what `kubeseed serve` does."""
        self.logs.append(self.out.root.parent / f"serve-{len(self.logs)}.log")
        settings = Settings(
            Out(self.out.root, self.shared), Listen("127.0.0.1", self.port), Listen("127.0.0.1", self.boot_port),
            images=self.out.root.parent / "images", tftp=self.out.root.parent / "tftp", workers=self.workers,
            ui_listen=Listen("127.0.0.1", self.ui_port), limits=self.limits,
        )  # fmt: skip
        self.process = FORKS.Process(target=_serve, args=(settings, self.logs[-1], failpoint))
        self.process.start()
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            assert self.process is not None
            assert self.process.is_alive(), self.log
            with contextlib.suppress(httpx.TransportError), self.anybody() as client:
                if client.get("/healthz").status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"not ready after {START_SECONDS} s: {self.log}")

    @property
    def pid(self) -> int:
        assert self.process is not None
        assert self.process.pid is not None
        return self.process.pid

    @property
    def log(self) -> str:
        return "".join(path.read_text() for path in self.logs)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals, seconds: float = 10) -> int:
        """Sends the signal and waits for the end; returns the exit status, negative for a signal."""
        assert self.process is not None
        assert self.process.pid is not None
        if self.process.is_alive():
            os.kill(self.process.pid, number)
        return self.wait_for_death(seconds)

    def wait_for_death(self, seconds: float = 10) -> int:
        assert self.process is not None
        self.process.join(seconds)
        assert self.process.exitcode is not None, "still running"
        return self.process.exitcode

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.out.root / "secrets" / "root.crt")

    def anybody(self, **headers: str) -> httpx.Client:
        """A client of the TLS listener that trusts the seed's root only."""
        url = f"https://127.0.0.1:{self.port}"
        return httpx.Client(base_url=url, verify=self.trust, headers=headers, trust_env=False, timeout=40)

    def boot(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.boot_port}", trust_env=False)

    def watcher(self) -> httpx.Client:
        """A browser on the coordinator's machine."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.ui_port}", trust_env=False, timeout=40)

    def operator(self) -> httpx.Client:
        socket_path = str(self.out.root / "state" / "admin.sock")
        return httpx.Client(base_url="http://operator", transport=httpx.HTTPTransport(uds=socket_path), timeout=40)

    def status(self) -> dict[str, Any]:
        with self.operator() as client:
            found: dict[str, Any] = client.get("/status").json()
            return found

    def events(self) -> list[dict[str, Any]]:
        with self.operator() as client:
            rows: list[dict[str, Any]] = client.get("/events?limit=1000").json()["events"]
            return rows

    def order(self, path: str, data: Mapping[str, str] | None = None) -> httpx.Response:
        with self.operator() as client:
            return client.post(path, data=data)

    def machine(self, name: str) -> "Machine":
        return Machine(self, name)


@dataclass
class Machine:
    """A machine that booted from a seed: it makes its own credential and asks as the node scripts do."""

    coordinator: Coordinator
    name: str
    credential: str = field(default_factory=lambda: secrets.token_hex(32))

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.credential.encode()).hexdigest()

    @property
    def fingerprint(self) -> str:
        return "-".join(self.digest[at : at + 4] for at in range(0, 20, 4))

    @property
    def header(self) -> str:
        return f"Node {self.name}:{self.credential}"

    def form(self, **changes: Any) -> dict[str, Any]:
        node = self.coordinator.out.node(self.name)
        facts = {"product_uuid": f"uuid-{self.name}", "serial": "VMware-56 4d", "arch": "x86_64", "os": "debian 12"}
        form = {"node": self.name, "generation": str(node["generation"]), "digest": self.digest, "mac": node["macs"]}
        return {**form, **facts, "kernel": "6.1.0-18-amd64", **changes}

    def enrol(self, header: str | None = None, **changes: Any) -> httpx.Response:
        with self.coordinator.anybody(Authorization=header or self.coordinator.out.seal(self.name)) as client:
            return client.post("/v1/enrol", data=self.form(**changes))

    def enrolled(self) -> "Machine":
        answer = self.enrol()
        assert answer.status_code == 200, answer.text
        return self

    def get(self, path: str, **headers: str) -> httpx.Response:
        with self.coordinator.anybody(Authorization=self.header, **headers) as client:
            return client.get(path)

    def post(self, path: str, data: Mapping[str, Any] | None = None, *, pem: bytes = b"") -> httpx.Response:
        with self.coordinator.anybody(Authorization=self.header) as client:
            if pem:
                return client.post(path, content=pem, headers={"Content-Type": "application/pkcs10"})
            return client.post(path, data=data)

    def report(self, stage: str, state: str, **more: str) -> httpx.Response:
        return self.post("/v1/reports", {"stage": stage, "state": state, "seconds": "1.5", "attempt": "1", **more})

    def initialise(self) -> None:
        """What the first master does: claim, fetch the keys, complete."""
        epoch = self.post("/v1/init/claim").json()["epoch"]
        assert self.get("/v1/pki").status_code == 200
        answer = self.complete(epoch)
        assert answer.status_code == 200, answer.text

    def complete(self, epoch: int, **changes: str) -> httpx.Response:
        digest = hashlib.sha256(self.authorities()["ca.crt"]).hexdigest()
        form = {"epoch": str(epoch), "ca_digest": digest, "etcd_cluster": "cafe", **changes}
        return self.post("/v1/init/complete", form)

    def authorities(self) -> dict[str, bytes]:
        return unpack(self.get("/v1/authorities").content)


def unpack(archive: bytes) -> dict[str, bytes]:
    """Paths and bytes of a tar."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {member.name: (opened.extractfile(member) or io.BytesIO()).read() for member in opened}


def _serve(settings: Settings, log: Path, failpoint: str) -> None:
    """Runs in the forked process."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ["KUBESEED_FAILPOINT"] = failpoint
    start_logging(as_json=False)
    serve(settings)


@functools.cache
def template(join: str) -> OutFolder:
    """One initialised OUT for all tests: making RSA keys takes long."""
    out = make_out(Path(tempfile.mkdtemp(prefix="kubeseed-test-")) / "out", 8443, join)
    atexit.register(shutil.rmtree, out.root.parent)
    with assemble(Settings(Out(out.root))):
        return out


def fresh_out(folder: Path, port: int, join: str = "certificate", api_servers: Iterable[str] = ()) -> OutFolder:
    """A copy of the template for one test."""
    pattern = template(join)
    shutil.copytree(pattern.root, folder / "out")
    out = OutFolder(folder / "out", copy.deepcopy(pattern.inventory), dict(pattern.secrets))
    out.inventory["urls"] = [f"https://127.0.0.1:{port}"]
    out.inventory["apiServers"] = list(api_servers) or out.inventory["apiServers"]
    out.write_inventory()
    return out


@contextlib.contextmanager
def running(
    folder: Path,
    *,
    failpoint: str = "",
    workers: int = 1,
    shared: EtcdAddress | None = None,
    member: Member | None = None,
    limits: Limits | None = None,
    **more: Any,
) -> Iterator[Coordinator]:
    """A coordinator of a fresh OUT below `folder`; always stopped by its own pid at the end."""
    port, boot_port = free_port(), free_port()
    coordinator = Coordinator(fresh_out(folder, port, **more), port, boot_port, shared=shared, workers=workers)
    coordinator.limits = limits or coordinator.limits
    if shared:
        share(coordinator.out.root, shared, member)
    coordinator.start(failpoint)
    try:
        yield coordinator
    finally:
        coordinator.kill()
