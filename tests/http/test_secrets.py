"""No live secret in logs, arguments, environment, error texts, world-readable files, or in the store in clear."""

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from http_server.keyring import AesKeyring, KeyringError
from http_server.secret import Secret
from http_server.settings import EtcdAddress
from tests.http import etcd
from tests.http.kubernetes import ApiServer
from tests.http.process import REPOSITORY, Coordinator, free_port, running, unpack


def der_of(pem: bytes) -> bytes:
    """A middle piece of the key itself, which no other encoding of it lacks."""
    key = load_pem_private_key(pem, None)
    return key.private_numbers().p.to_bytes(128, "big")[8:40]  # type: ignore[union-attr]  # the cluster's keys are RSA


@contextlib.contextmanager
def a_whole_cluster(folder: Path, shared: EtcdAddress | None) -> Iterator[tuple[Coordinator, dict[str, bytes]]]:
    """A coordinator that has handed out everything it has, and all the secrets that passed through it."""
    port = free_port()
    with running(folder, join="token", api_servers=[f"127.0.0.1:{port}"], shared=shared) as coordinator:
        first, worker = coordinator.machine("m1").enrolled(), coordinator.machine("w1").enrolled()
        first.initialise()
        keys = unpack(first.get("/v1/pki").content)
        server = ApiServer(folder, port)
        server.start(keys["pki/ca.crt"], keys["pki/ca.key"])
        try:
            token = yaml.safe_load(worker.get("/v1/join?wait=10").content)["users"][0]["user"]["token"]
        finally:
            server.stop()
        refusals(coordinator)
        secrets = {name: data for name, data in keys.items() if name.endswith(".key")}
        encryption = yaml.safe_load(keys["encryption.yaml"])["resources"][0]["providers"][0]["aescbc"]["keys"][0][
            "secret"
        ]
        secrets |= {"encryption": encryption.encode(), "token": token.partition(".")[2].encode()}
        secrets |= {"credential": worker.credential.encode(), "seed": coordinator.out.secrets["w1"].encode()}
        secrets |= {"keyring": (coordinator.out.root / "state" / "keyring.key").read_bytes().strip()}
        yield coordinator, secrets


def refusals(coordinator: Coordinator) -> None:
    """Secrets in wrong places: headers of the wrong kind, paths, queries, fields."""
    worker, secret = coordinator.machine("w2"), coordinator.out.secrets["w1"]
    with coordinator.anybody(Authorization=f"Bearer {secret}") as client:
        for path in ("/v1/files", f"/v1/files?secret={secret}", f"/{secret}", f"/v1/certificates/{secret}"):
            client.get(path)
            client.post(path, content=secret)
    worker.enrol(serial="s", digest=secret + "0")
    worker.enrol(header=f"Enrolment {secret}")


def needles(name: str, secret: bytes) -> list[bytes]:
    if name.endswith(".key"):
        return [secret.splitlines()[3], der_of(secret)]
    return [secret, *([bytes.fromhex(secret.decode())] if name in {"keyring", "seed", "credential"} else [])]


@pytest.mark.parametrize("store", ["sqlite", "etcd"])
def test_nothing_leaks(tmp_path: Path, store: str) -> None:
    shared = etcd.fresh_address() if store == "etcd" else None
    with a_whole_cluster(tmp_path, shared) as (coordinator, secrets):
        assert coordinator.process is not None
        proc = Path(f"/proc/{coordinator.process.pid}")
        places = {
            "log": coordinator.log.encode(), "arguments": (proc / "cmdline").read_bytes(),
            "environment": (proc / "environ").read_bytes(),
            "status": str(coordinator.status()).encode(), "events": str(coordinator.events()).encode(),
        }  # fmt: skip
        for file in (coordinator.out.root / "state").glob("coordinator.db*"):
            places[file.name] = file.read_bytes()
        if shared:
            places |= {f"etcd {key}": value for key, value in etcd.everything(shared).items()}
        for path in coordinator.out.root.rglob("*"):
            if path.is_file() and path.stat().st_mode & 0o077:
                places[str(path)] = path.read_bytes()
        found = [
            (place, name)
            for place, content in places.items()
            for name, secret in secrets.items()
            for needle in needles(name, secret)
            if needle in content
        ]
        assert found == []
        assert {"pki/ca.key", "pki/sa.key", "encryption", "token", "credential", "seed", "keyring"} <= set(secrets)


def test_a_crash_leaves_no_core_file(coordinator: Coordinator) -> None:
    """No file by the limit, and no pipe to a collector of dumps, which the limit does not stop."""
    assert coordinator.process is not None
    pid = coordinator.process.pid
    assert pid is not None
    assert re.search(r"Max core file size +0 +0 ", Path(f"/proc/{pid}/limits").read_text())
    folder = Path(f"/proc/{pid}/cwd").resolve()
    before = set(folder.glob("core*"))
    os.kill(pid, signal.SIGSEGV)
    assert coordinator.wait_for_death() == -signal.SIGSEGV
    assert set(folder.glob("core*")) == before
    get_dumpable = "ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)"
    code = f"import ctypes, http_server.coordinator as c; c.limit_process(); print({get_dumpable})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert done.stdout == "0\n"


def test_the_search_can_find() -> None:
    """The test above is worth nothing unless its needles are found where they are."""
    from http_server.pki import key_pem, make_rsa_key

    pem = key_pem(make_rsa_key()).reveal()
    assert any(needle in pem for needle in needles("x.key", pem))
    from cryptography.hazmat.primitives import serialization

    der = load_pem_private_key(pem, None).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert any(needle in der for needle in needles("x.key", pem))


def test_a_secret_shows_stars_only() -> None:
    secret = Secret(b"hunter2")
    assert {str(secret), f"{secret}", f"{secret!s:>8}"} == {"********"}
    assert "hunter2" not in repr([secret]) + repr({"a": secret})


def test_sealed_values_open_only_in_their_own_place() -> None:
    keyring = AesKeyring([Secret(b"k" * 32)], "prod")
    sealed = keyring.seal("kubernetes.key", 1, Secret(b"value"))
    assert keyring.unseal("kubernetes.key", 1, sealed).reveal() == b"value"
    assert keyring.seal("kubernetes.key", 1, Secret(b"value")) != sealed
    attempts = [
        (keyring, "kubernetes.key", 2, sealed), (keyring, "etcd.key", 1, sealed),
        (AesKeyring([Secret(b"k" * 32)], "staging"), "kubernetes.key", 1, sealed),
        (AesKeyring([Secret(b"x" * 32)], "prod"), "kubernetes.key", 1, sealed),
        (keyring, "kubernetes.key", 1, sealed[:-1]), (keyring, "kubernetes.key", 1, b""),
        (keyring, "kubernetes.key", 1, sealed[:20] + bytes([sealed[20] ^ 1]) + sealed[21:]),
    ]  # fmt: skip
    for ring, name, epoch, data in attempts:
        with pytest.raises(KeyringError):
            ring.unseal(name, epoch, data)


def test_a_swapped_ca_in_the_store_is_not_served(tmp_path: Path) -> None:
    """Whoever may write the store but has not the keyring's key cannot slip another CA in."""
    with running(tmp_path) as coordinator:
        coordinator.kill()
        with contextlib.closing(sqlite3.connect(coordinator.out.root / "state" / "coordinator.db")) as connection:
            rows = dict(connection.execute("SELECT name, sealed FROM sealed_key"))
            connection.execute("UPDATE sealed_key SET sealed = ? WHERE name = 'kubernetes.crt'", (rows["etcd.crt"],))
            connection.commit()
        coordinator.start(wait=False)
        assert coordinator.wait_for_death() != 0
        assert "the keyring does not open the store" in coordinator.log
