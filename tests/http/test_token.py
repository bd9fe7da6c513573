"""Mode `token`: a bootstrap token for one node alone, in the cluster while the node joins and no longer."""

import base64
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from http_server.pki import certificate_pem, key_pem, make_authority
from tests.http.kubernetes import ApiServer, Cluster, request_pem
from tests.http.process import Coordinator, Machine, free_port, running, unpack
from tests.http.wait import wait_for

CLIENT, SERVING = "kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"
CLIENT_USAGES, SERVING_USAGES = ["digital signature", "client auth"], ["digital signature", "server auth"]


@dataclass
class Site:
    """A coordinator in mode `token` whose cluster exists, and that cluster's API server."""

    coordinator: Coordinator
    server: ApiServer
    authority: bytes
    key: bytes

    @property
    def cluster(self) -> Cluster:
        return self.server.cluster

    def start(self) -> None:
        self.server.start(self.authority, self.key)

    def token_of(self, machine: Machine) -> str:
        answer = machine.get("/v1/join?wait=10")
        assert answer.status_code == 200, answer.text
        token: str = yaml.safe_load(answer.content)["users"][0]["user"]["token"]
        return token


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    port = free_port()
    dead = f"127.0.0.1:{free_port()}"
    with running(tmp_path, join="token", api_servers=[dead, f"127.0.0.1:{port}"]) as coordinator:
        first = coordinator.machine("m1").enrolled()
        first.initialise()
        keys = unpack(first.get("/v1/pki").content)
        found = Site(coordinator, ApiServer(tmp_path, port), keys["pki/ca.crt"], keys["pki/ca.key"])
        try:
            yield found
        finally:
            found.server.stop()


def secret_of(cluster: Cluster, token: str) -> dict[str, Any]:
    return cluster.secrets[f"bootstrap-token-{token.partition('.')[0]}"]


def test_a_token_is_made_for_one_node_alone(site: Site) -> None:
    site.start()
    worker = site.coordinator.machine("w1").enrolled()
    config = yaml.safe_load(worker.get("/v1/join").content)
    token = config["users"][0]["user"]["token"]
    assert base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]) == site.authority
    secret = secret_of(site.cluster, token)
    assert (secret["type"], secret["metadata"]["namespace"]) == ("bootstrap.kubernetes.io/token", "kube-system")
    data = secret["stringData"]
    assert f"{data['token-id']}.{data['token-secret']}" == token
    assert data["auth-extra-groups"] == "system:bootstrappers:kubeadm:default-node-token"
    assert "w1" in data["description"]
    end = time.mktime(time.strptime(data["expiration"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    assert 1700 < end - time.time() <= 1800
    assert {user for _, _, user in site.cluster.asked} == {"kubeseed:coordinator"}


def test_a_lost_answer_gets_the_same_token_and_another_node_another(site: Site) -> None:
    site.start()
    worker, other = site.coordinator.machine("w1").enrolled(), site.coordinator.machine("w2").enrolled()
    token = site.token_of(worker)
    assert site.token_of(worker) == token
    assert site.token_of(other) != token
    site.coordinator.kill()
    site.coordinator.start()
    assert site.token_of(worker) == token
    assert [row["node"] for row in site.coordinator.events() if row["action"] == "token-minted"] == ["w1", "w2"]


def test_until_the_api_answers_nodes_wait_and_then_all_get_theirs(site: Site) -> None:
    worker = site.coordinator.machine("w1").enrolled()
    answer = worker.get("/v1/join?wait=1")
    assert (answer.status_code, answer.text) == (202, "waiting for an API server\n")
    site.start()
    wait_for(lambda: worker.get("/v1/join?wait=5").status_code == 200, 15)


@pytest.mark.parametrize("status", [401, 403, 500])
def test_an_api_server_that_refuses_makes_nodes_wait(site: Site, status: int) -> None:
    site.start()
    site.cluster.fail_with = status
    assert site.coordinator.machine("w1").enrolled().get("/v1/join").status_code == 202


def test_an_api_server_under_another_authority_learns_nothing(site: Site, tmp_path: Path) -> None:
    stranger = make_authority("kubernetes", 10, time.time())
    site.server.start(certificate_pem(stranger.certificate), key_pem(stranger.key).reveal())
    assert site.coordinator.machine("w1").enrolled().get("/v1/join").status_code == 202
    assert site.cluster.asked == []


def test_the_token_leaves_the_cluster_when_the_node_has_joined(site: Site) -> None:
    site.start()
    worker = site.coordinator.machine("w1").enrolled()
    token = site.token_of(worker)
    worker.report("join", "done")
    wait_for(lambda: not site.cluster.secrets, 10)
    assert site.token_of(worker) != token


def test_a_token_dies_even_if_no_api_server_answered_then(site: Site) -> None:
    site.start()
    worker = site.coordinator.machine("w1").enrolled()
    site.token_of(worker)
    site.server.stop()
    worker.report("join", "done")
    site.coordinator.kill()
    site.coordinator.start()
    assert site.cluster.secrets
    site.start()
    wait_for(lambda: not site.cluster.secrets, 20)


@pytest.mark.parametrize("order", ["revoke", "rearm"])
def test_revoking_and_rearming_kill_the_token(site: Site, order: str) -> None:
    site.start()
    site.token_of(site.coordinator.machine("w1").enrolled())
    site.coordinator.order(f"/nodes/w1/{order}")
    wait_for(lambda: not site.cluster.secrets, 10)


def test_a_token_deleted_behind_our_back_is_put_back(site: Site) -> None:
    site.start()
    worker = site.coordinator.machine("w1").enrolled()
    token = site.token_of(worker)
    site.cluster.secrets.clear()
    assert site.token_of(worker) == token
    assert secret_of(site.cluster, token)


def test_a_slow_api_server_holds_nobody_else_up(site: Site) -> None:
    site.start()
    site.cluster.delay = 4
    machines = [site.coordinator.machine(name).enrolled() for name in ("w1", "w2")]
    threads = [
        threading.Thread(target=machine.get, args=("/v1/join?wait=1",)) for machine in machines for _ in range(30)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    started = time.monotonic()
    assert machines[0].get("/v1/backends").status_code == 200
    assert time.monotonic() - started < 2
    site.cluster.delay = 0
    for thread in threads:
        thread.join(30)


def kubelet(site: Site, name: str, node: str, *, user: str, signer: str = CLIENT, **changes: Any) -> None:
    """A kubelet's request in the cluster, as it should be but for the changes."""
    address = (
        site.coordinator.out.node(node)["address"] if node in site.coordinator.out.inventory["nodes"] else "10.0.0.9"
    )
    names = [x509.DNSName(node), x509.IPAddress(ip_address(address))] if signer == SERVING else []
    usages = SERVING_USAGES if signer == SERVING else CLIENT_USAGES
    wish: dict[str, Any] = {
        "common_name": f"system:node:{node}",
        "organization": "system:nodes",
        "sans": names,
        "usages": usages,
    }
    wish |= {"groups": ["system:nodes", "system:authenticated"], **changes}
    pem = wish.get("pem") or request_pem(wish["common_name"], wish["organization"], wish["sans"])
    site.cluster.add_request(name, signer, user, wish["groups"], wish["usages"], pem)


def test_a_bootstrap_token_gives_the_identity_of_its_own_node_and_no_other(site: Site) -> None:
    site.start()
    token_id = site.token_of(site.coordinator.machine("w1").enrolled()).partition(".")[0]
    user = f"system:bootstrap:{token_id}"
    kubelet(site, "own", "w1", user=user)
    kubelet(site, "master", "m2", user=user)
    kubelet(site, "admin", "w1", user=user, organization="system:masters")
    kubelet(site, "unknown-token", "w1", user="system:bootstrap:aaaaaa")
    kubelet(site, "serving-by-token", "w1", user=user, signer=SERVING)
    wait_for(lambda: site.cluster.approved("own"), 10)
    time.sleep(3)
    assert [name for name in site.cluster.requests if site.cluster.approved(name)] == ["own"]


def test_serving_certificates_are_approved_only_for_the_nodes_own_names(site: Site) -> None:
    site.start()
    coordinator = site.coordinator
    coordinator.machine("w1").enrolled()
    coordinator.machine("w2").enrolled()
    own, other = coordinator.out.node("w1")["address"], coordinator.out.node("w2")["address"]
    names = [x509.DNSName("w1"), x509.IPAddress(ip_address(own))]
    user = "system:node:w1"
    kubelet(site, "own", "w1", user=user, signer=SERVING)
    kubelet(site, "neighbour", "w2", user=user, signer=SERVING)
    kubelet(site, "one-more", "w1", user=user, signer=SERVING, sans=[*names, x509.DNSName("kubernetes")])
    kubelet(site, "one-less", "w1", user=user, signer=SERVING, sans=names[:1])
    kubelet(site, "wrong-address", "w1", user=user, signer=SERVING, sans=[names[0], x509.IPAddress(ip_address(other))])
    kubelet(site, "uri", "w1", user=user, signer=SERVING, sans=[*names, x509.UniformResourceIdentifier("spiffe://x")])
    kubelet(site, "client-too", "w1", user=user, signer=SERVING, usages=[*SERVING_USAGES, "client auth"])
    kubelet(site, "no-group", "w1", user=user, signer=SERVING, groups=["system:authenticated"])
    kubelet(site, "no-organization", "w1", user=user, signer=SERVING, organization=None)
    kubelet(site, "not-enrolled", "m3", user="system:node:m3", signer=SERVING)
    kubelet(site, "not-of-this-cluster", "w9", user="system:node:w9", signer=SERVING)
    kubelet(site, "not-a-request", "w1", user=user, signer=SERVING, pem=b"nonsense")
    kubelet(site, "administrator", "w1", user="kubernetes-admin", signer=SERVING)
    wait_for(lambda: site.cluster.approved("own"), 20)
    time.sleep(3)
    assert [name for name in site.cluster.requests if site.cluster.approved(name)] == ["own"]
    approvals = [row for row in coordinator.events() if row["action"] == "kubelet-request-approved"]
    assert [(row["node"], row["detail"]["request"]) for row in approvals] == [("w1", "own")]


def test_a_revoked_nodes_kubelet_gets_nothing_more(site: Site) -> None:
    site.start()
    site.coordinator.machine("w1").enrolled()
    site.coordinator.order("/nodes/w1/revoke")
    kubelet(site, "late", "w1", user="system:node:w1", signer=SERVING)
    site.coordinator.machine("w2").enrolled()
    kubelet(site, "fine", "w2", user="system:node:w2", signer=SERVING)
    wait_for(lambda: site.cluster.approved("fine"), 20)
    assert not site.cluster.approved("late")


def test_nothing_is_asked_of_the_cluster_before_it_exists(tmp_path: Path) -> None:
    port = free_port()
    server = ApiServer(tmp_path, port)
    with running(tmp_path, join="token", api_servers=[f"127.0.0.1:{port}"]) as coordinator:
        first = coordinator.machine("m1").enrolled()
        first.post("/v1/init/claim")
        keys = unpack(first.get("/v1/pki").content)
        server.start(keys["pki/ca.crt"], keys["pki/ca.key"])
        try:
            assert coordinator.machine("w1").enrolled().get("/v1/join?wait=1").status_code == 202
            time.sleep(3)
            assert server.cluster.asked == []
        finally:
            server.stop()
