"""One etcd for all tests that share a store, on a loopback address of its own, and OUT folders that use it."""

import atexit
import functools
import json
import random
import secrets
import shutil
import tempfile
from base64 import b64decode
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from http_server.model import AuditEvent
from http_server.ports import Transaction
from http_server.settings import EtcdAddress, Out
from http_server.store_etcd import EtcdStore
from http_server.store_history import open_etcd, open_sqlite
from tests.backup.etcd import Cluster, Member, running

FILES = {"ca.crt": "ca.crt", "client.crt": "healthcheck-client.crt", "client.key": "healthcheck-client.key"}
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def free_network() -> str:
    """The first three bytes of loopback addresses that nobody else is likely to use."""
    return f"127.{random.randint(64, 250)}.{random.randint(1, 250)}"


def programs() -> Path:
    found = shutil.which("etcd")
    assert found, "etcd is missing: make packages"
    return Path(found).parent


@functools.cache
def common() -> Cluster:
    """A cluster of one member, in memory, until the tests end."""
    stack = ExitStack()
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="kubeseed-etcd-", dir=MEMORY))
    atexit.register(stack.close)
    return stack.enter_context(running(Path(folder), free_network(), programs(), size=1))


def endpoint(member: Member) -> str:
    return f"https://{member.address}:2379"


def fresh_address(*members: Member) -> EtcdAddress:
    """A prefix that nobody has used."""
    return EtcdAddress(tuple(map(endpoint, members or common().members[:1])), f"/test/{secrets.token_hex(8)}")


def text(address: EtcdAddress) -> str:
    """As an operator types it."""
    return f"etcd:{','.join(address.endpoints)}{address.prefix}"


def everything(address: EtcdAddress) -> dict[str, bytes]:
    """Every key below the address's prefix, and its value, as etcd keeps them."""
    told = json.loads(common().members[0].etcdctl("get", "--prefix", f"{address.prefix}/", "-w", "json"))
    return {b64decode(one["key"]).decode(): b64decode(one.get("value", "")) for one in told.get("kvs", ())}


def put_back(address: EtcdAddress, kept: dict[str, bytes]) -> None:
    """The prefix as it was when `everything` was asked, as after a restored snapshot."""
    common().members[0].etcdctl("del", "--prefix", f"{address.prefix}/")
    for key, value in kept.items():
        common().members[0].etcdctl("put", key, stdin=value.decode())


def put_files(folder: Path, member: Member | None = None) -> Path:
    """The client's certificate where a coordinator looks for it."""
    pki = (member or common().members[0]).pki
    folder.mkdir(0o700, parents=True, exist_ok=True)
    for name, source in FILES.items():
        shutil.copy(pki / source, folder / name)
    return folder


def opened(folder: Path, address: EtcdAddress, now: Callable[[], float]) -> EtcdStore:
    """The store at this address, its head file and client certificate below `folder`."""
    folder.mkdir(exist_ok=True)
    return open_etcd(address, put_files(folder / "etcd"), "prod", folder / "head", now)


def share(root: Path, address: EtcdAddress, member: Member | None = None) -> Out:
    """The OUT as one that uses the shared store; the store that it has is copied there, unless one is there already."""
    own = Out(root)
    shared = replace(own, other_store=address)
    put_files(shared.etcd_files, member)
    with (
        closing(open_sqlite(own.store, own.audit_head, lambda: 0.0)) as source,
        closing(open_etcd(address, shared.etcd_files, "prod", root / "no-head", lambda: 0.0)) as target,
    ):
        keys = source.read(lambda view: view.sealed_keys(1))
        claim = source.read(lambda view: view.claim())
        assert claim

        def copy(transaction: Transaction) -> None:
            if not transaction.cluster():
                transaction.put_cluster("prod")
                transaction.put_claim(claim)
                transaction.put_sealed_keys(1, keys)
                transaction.record(AuditEvent("store-initialised", actor="coordinator"))

        target.transact(copy)
    (root / "no-head").unlink(missing_ok=True)
    own.audit_head.unlink(missing_ok=True)
    return shared
