"""Enrolment, init and join as a random walk, compared after every step with a model that fits on one page."""

import asyncio
import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from http_server import etcd as etcd_client
from http_server import store_etcd
from http_server.app import Traffic, build_app
from http_server.audit_chain import verify
from http_server.coordinator import Coordinator, assemble
from http_server.keyset import make_keyset
from http_server.limit import Rate
from http_server.model import Keyset
from http_server.routes import ROUTES, Listener
from http_server.service import operator
from http_server.service.context import current_claim
from http_server.settings import SLOT_LEASE, Limits, Out, Settings
from http_server.store_history import all_events
from tests.http import etcd
from tests.http.outfolder import OutFolder
from tests.http.process import fresh_out, unpack

FAST = (1e9, 1e9)
UNLIMITED = Limits(peer_rate=FAST, node_rate=FAST, enrol_rate=FAST)
FIRST, MASTERS, ALL = "m1", ("m1", "m2", "m3"), ("m1", "m2", "m3", "w1")
A, B = "a" * 64, "b" * 64
nodes = st.sampled_from(ALL)
# The node's own credential, mostly; else one of two, which may be another machine's.
credentials = st.sampled_from(("own", "own", "own", A, B))


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def keys_of(epoch: int) -> Keyset:
    """Making RSA keys would be nearly all that a walk does; every epoch has its own, but they are made once."""
    return make_keyset(epoch, 36500, 1_900_000_000.0)


@dataclass
class Node:
    """What the model knows of a node."""

    state: str = "issued"
    credential: str = ""
    generation: int = 1

    def accepts(self, credential: str) -> bool:
        return self.state in {"bound", "closed"} and self.credential == credential


@dataclass
class Model:
    """The whole protocol."""

    nodes: dict[str, Node] = field(default_factory=lambda: {name: Node() for name in ALL})
    epoch: int = 1
    init: str = "none"
    slot: str = ""
    slot_until: float = 0.0


class Protocol(RuleBasedStateMachine):
    """The real services over the real store, without sockets."""

    shared = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="kubeseed-model-", dir=shared_memory()))
        self.out: OutFolder = fresh_out(self.folder, 8443)
        self.place = etcd.share(self.out.root, etcd.fresh_address()) if self.shared else Out(self.out.root)
        self.model = Model()
        self.now = 1_900_000_000.0
        self.loop = asyncio.new_event_loop()
        self.stack = ExitStack()
        self.digests: dict[int, str] = {}

    @initialize(steps=st.sampled_from((0, 4, 5, 7, 7, 7, 7)))
    def begin(self, steps: int) -> None:
        """A walk may begin anywhere on the straight road to a cluster, so that the far end is walked as well."""
        self.start()
        road: list[Callable[[], None]] = [
            *(partial(self.enrol_sealed, name, A) for name in ALL),
            partial(self.claim, FIRST, A), partial(self.fetch_keys, FIRST, A), partial(self.complete, FIRST, A, 1),
        ]  # fmt: skip
        for step in road[:steps]:
            step()

    def start(self) -> None:
        operator.make_keyset = lambda epoch, ca_days, now: keys_of(epoch)  # type: ignore[attr-defined]
        wiring = Settings(self.place, limits=UNLIMITED)
        self.coordinator: Coordinator = self.stack.enter_context(assemble(wiring, lambda: self.now))
        traffic = Traffic(Rate(FAST), Rate(FAST))
        self.doors = {door: build_app(self.coordinator.context, door, ROUTES, traffic) for door in Listener}

    def teardown(self) -> None:
        if hasattr(self, "coordinator"):
            verify(all_events(self.coordinator.context.store))
        self.stack.close()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        shutil.rmtree(self.folder)

    def ask(self, method: str, path: str, header: str = "", form: dict[str, Any] | None = None) -> httpx.Response:
        return self.through(Listener.TLS, method, path, header, form)

    def order(self, path: str, form: dict[str, Any] | None = None) -> int:
        return self.through(Listener.SOCKET, "POST", path, "", form).status_code

    def through(
        self, door: Listener, method: str, path: str, header: str, form: dict[str, Any] | None
    ) -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(self.doors[door])
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(
                    method, path, headers={"Authorization": header} if header else {}, data=form
                )

        answer = self.loop.run_until_complete(go())
        assert answer.status_code < 500 or answer.status_code == 503
        return answer

    def mean(self, node: str, credential: str) -> str:
        """The credential that is meant."""
        return (self.model.nodes[node].credential or A) if credential == "own" else credential

    def enrol(self, node: str, credential: str, header: str) -> int:
        generation = self.model.nodes[node].generation
        form = {
            "node": node,
            "generation": generation,
            "digest": sha256(credential),
            "mac": self.out.node(node)["macs"],
        }
        return self.ask("POST", "/v1/enrol", header, form).status_code

    @rule(node=nodes, credential=credentials)
    def enrol_sealed(self, node: str, credential: str) -> None:
        credential = self.mean(node, credential)
        known = self.model.nodes[node]
        status = self.enrol(node, credential, self.out.seal(node))
        if known.state in {"closed", "revoked"}:
            assert status == 401
        elif known.state == "bound" and known.credential != credential:
            assert status == 409
        elif known.state == "pending" and known.credential == credential:
            assert status == 202
        else:
            assert status == 200
            known.state, known.credential = "bound", credential

    @rule(node=nodes, credential=credentials)
    def enrol_with_a_wrong_secret(self, node: str, credential: str) -> None:
        header = f"Enrolment {self.out.node(node)['enrolId']}:{'0' * 64}"
        assert self.enrol(node, credential, header) == 401

    @rule(node=nodes, credential=credentials)
    def enrol_pending(self, node: str, credential: str) -> None:
        credential = self.mean(node, credential)
        known = self.model.nodes[node]
        status = self.enrol(node, credential, f"Pending {node}")
        if known.state in {"closed", "revoked"}:
            assert status == 401
        elif known.state != "issued" and known.credential != credential:
            assert status == 409
        elif known.state == "bound":
            assert status == 200
        else:
            assert status == 202
            known.state, known.credential = "pending", credential

    @rule(node=nodes, credential=credentials)
    def approve(self, node: str, credential: str) -> None:
        known, digest = self.model.nodes[node], sha256(self.mean(node, credential))
        fingerprint = "-".join(digest[at : at + 4] for at in range(0, 20, 4))
        status = self.order(f"/nodes/{node}/approve", {"fingerprint": fingerprint})
        if known.state in {"pending", "bound"} and known.credential == self.mean(node, credential):
            assert status == 200
            known.state = "bound"
        else:
            assert status == 409

    @rule(node=nodes, state=st.sampled_from(("revoked", "issued")))
    def revoke_or_rearm(self, node: str, state: str) -> None:
        assert self.order(f"/nodes/{node}/{'revoke' if state == 'revoked' else 'rearm'}") == 200
        known = self.model.nodes[node]
        known.state, known.credential = state, ""
        if self.model.slot == node:
            self.model.slot = ""

    @rule(node=nodes)
    def install_again(self, node: str) -> None:
        """The generator raises the generation; whatever the former one had is dead."""
        known = self.model.nodes[node]
        self.model.nodes[node] = Node(generation=known.generation + 1)
        self.out.node(node)["generation"] = known.generation + 1
        self.out.write_inventory()
        self.coordinator.context.inventory_file.refresh(force=True)

    @rule(node=nodes, credential=credentials)
    def claim(self, node: str, credential: str) -> None:
        credential = self.mean(node, credential)
        answer = self.ask("POST", "/v1/init/claim", f"Node {node}:{credential}")
        if self.admitted(answer, node, credential, FIRST):
            if self.model.init == "none":
                self.model.init = "claimed"
            assert answer.json() == {"epoch": self.model.epoch, "state": self.model.init}

    @rule(node=nodes, credential=credentials)
    def fetch_keys(self, node: str, credential: str) -> None:
        credential = self.mean(node, credential)
        answer = self.ask("GET", "/v1/pki", f"Node {node}:{credential}")
        if not self.admitted(answer, node, credential, *MASTERS):
            assert b"PRIVATE KEY" not in answer.content
            return
        expected = 200 if self.model.init == "complete" else 202
        if node == FIRST:
            expected = 409 if self.model.init == "none" else 200
        assert answer.status_code == expected
        if expected == 200:
            assert answer.headers["x-epoch"] == str(self.model.epoch)
            certificate = unpack(answer.content)["pki/ca.crt"]
            digest = self.digests.setdefault(self.model.epoch, hashlib.sha256(certificate).hexdigest())
            assert digest == hashlib.sha256(certificate).hexdigest()
            if self.model.init == "claimed":
                self.model.init = "pki-delivered"

    @rule(node=nodes, credential=credentials, epoch=st.sampled_from((0, 0, 1, 2, 3)))
    def complete(self, node: str, credential: str, epoch: int) -> None:
        credential = self.mean(node, credential)
        epoch = epoch or self.model.epoch
        form = {"epoch": epoch, "ca_digest": self.digests.get(epoch, "0" * 64), "etcd_cluster": "cafe"}
        answer = self.ask("POST", "/v1/init/complete", f"Node {node}:{credential}", form)
        if self.admitted(answer, node, credential, FIRST):
            good = epoch == self.model.epoch and self.model.init in {"pki-delivered", "complete"}
            assert answer.status_code == (200 if good else 409)
            if good:
                self.model.init = "complete"

    @precondition(lambda self: self.model.epoch < 4)
    @rule()
    def reassign(self) -> None:
        if self.model.init == "complete":
            assert self.order("/init/reassign") == 409
        else:
            assert self.order("/init/reassign") == 200
            self.model.epoch += 1
            self.model.init = "none"

    @rule(node=nodes, credential=credentials)
    def join(self, node: str, credential: str) -> None:
        credential = self.mean(node, credential)
        answer = self.ask("GET", "/v1/join", f"Node {node}:{credential}")
        if not self.admitted(answer, node, credential, *ALL[1:]):
            return
        free = self.model.slot in {"", node} or self.model.slot_until <= self.now
        turn = self.model.init == "complete" and (node not in MASTERS or free)
        assert answer.status_code == (200 if turn else 202)
        if turn and node in MASTERS:
            self.model.slot, self.model.slot_until = node, self.now + SLOT_LEASE

    @rule(
        node=nodes,
        credential=credentials,
        stage=st.sampled_from(("base", "join", "scrub")),
        state=st.sampled_from(("done", "failed")),
    )
    def report(self, node: str, credential: str, stage: str, state: str) -> None:
        credential = self.mean(node, credential)
        answer = self.ask("POST", "/v1/reports", f"Node {node}:{credential}", {"stage": stage, "state": state})
        if self.admitted(answer, node, credential, *ALL) and state == "done":
            if stage == "join" and self.model.slot == node:
                self.model.slot = ""
            if stage == "scrub":
                self.model.nodes[node].state = "closed"

    def admitted(self, answer: httpx.Response, node: str, credential: str, *allowed: str) -> bool:
        """Checks 401 and 403 against the model; whether the caller got past both."""
        if not self.model.nodes[node].accepts(credential):
            assert answer.status_code == 401
            return False
        if node not in allowed:
            assert answer.status_code == 403
            return False
        assert answer.status_code not in {401, 403}
        return True

    @rule(seconds=st.sampled_from((1.0, 300.0, 700.0, -10_000.0)))
    def clock_moves(self, seconds: float) -> None:
        """Also back: then the coordinator's time stands still, and nothing that has expired lives again."""
        self.now = max(self.now, self.now + seconds)

    @rule()
    def restart(self) -> None:
        self.stack.close()
        self.stack = ExitStack()
        self.start()

    @invariant()
    def the_store_says_what_the_model_says(self) -> None:
        if not hasattr(self, "coordinator"):
            return
        kept, init = self.coordinator.context.store.read(lambda view: (view.enrolments(), current_claim(view)))
        states = {one.node: str(one.state) for one in kept if one.generation == self.model.nodes[one.node].generation}
        assert {name: known.state for name, known in self.model.nodes.items()} == {
            name: states.get(name, "issued") for name in self.model.nodes
        }
        assert (init.epoch, init.state) == (self.model.epoch, self.model.init)

    @rule()
    def the_status_says_so_too(self) -> None:
        status = self.through(Listener.SOCKET, "GET", "/status", "", None).json()
        assert {name: node["state"] for name, node in status["nodes"].items() if name in self.model.nodes} == {
            name: known.state for name, known in self.model.nodes.items()
        }
        assert (status["init"]["epoch"], status["init"]["state"]) == (self.model.epoch, self.model.init)


def shared_memory() -> str | None:
    """Where fsync costs nothing, when there is such a place."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class SharedProtocol(Protocol):
    """The same walk over etcd. A machine busy with other tests may starve it, which is no fault here."""

    shared = True

    def start(self) -> None:
        store_etcd.PATIENCE = etcd_client.SECONDS = 60.0
        super().start()


WALKS = settings(
    max_examples=int(os.environ.get("KUBESEED_TEST_EXAMPLES", "30")), stateful_step_count=40, deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
TestProtocol = Protocol.TestCase
TestProtocol.settings = WALKS
TestSharedProtocol = SharedProtocol.TestCase
TestSharedProtocol.settings = settings(WALKS, max_examples=int(os.environ.get("KUBESEED_TEST_EXAMPLES", "15")))
