"""What runs beside Kubernetes: external etcd, balancers of each kind, the VIP, docker; and the redaction of logs."""

import subprocess

import pytest

from tests.node.cluster import FILES, OTHER_MASTER, Cluster, belongs, joining, seed, states
from tests.node.coordinator import Answer, Authority, archive
from tests.node.machine import Machine

AGREES = '#!/bin/sh\necho "${0##*/} $*" >>/var/stand-in/calls\n'
KUBESEED = "/usr/local/lib/kubeseed"
BLOCK = "  # kubeseed backends begin\n  OLD\n  # kubeseed backends end\n"
BACKENDS = f"127.0.0.1:6443\n{OTHER_MASTER}:6443\n[fd00::1]:6443\n"
LINES = {
    "nginx": ("nginx.conf", [f"server {address};" for address in BACKENDS.split()]),
    "haproxy": (
        "haproxy.cfg",
        [
            "server 127.0.0.1-6443 127.0.0.1:6443",
            "server 127.0.0.2-6443 127.0.0.2:6443",
            "server -fd00--1--6443 [fd00::1]:6443",
        ],
    ),
    "envoy": (
        "envoy-endpoints.yaml",
        [
            f'- {{endpoint: {{address: {{socket_address: {{address: "{address}", port_value: 6443}}}}}}}}'
            for address in ("127.0.0.1", OTHER_MASTER, "fd00::1")
        ],
    ),
}


def agree(machine: Machine, *programs: str) -> None:
    for program in programs:
        machine.write(f"usr/local/sbin/{program}", AGREES, 0o755)


@pytest.mark.parametrize("engine", LINES)
def test_every_balancer_gets_its_backends_in_its_own_words(cluster: Cluster, engine: str) -> None:
    machine = cluster.machine
    file, lines = LINES[engine]
    agree(machine, "nginx", "haproxy", "envoy")
    joining(cluster, "w1", "worker", LB_ENGINE=engine)
    machine.write(f"etc/kubeseed/lb/{file}", f"before\n{BLOCK}after\n")
    machine.write("etc/kubeseed/node.curl", 'header = "Authorization: Node w1:x"\n', 0o600)
    cluster.rules["/v1/backends"] = lambda _: Answer(200, BACKENDS.encode(), {"ETag": '"1"'})
    status, output = machine.boot(f"{KUBESEED}/refresh", "backends")
    assert status == 0, output
    expected = BLOCK.replace("  OLD\n", "".join(f"  {line}\n" for line in lines))
    assert machine.read(f"etc/kubeseed/lb/{file}") == f"before\n{expected}after\n"
    assert ("reload kubeseed-lb" in machine.calls("systemctl")) is (engine != "envoy")


def test_unchanged_backends_touch_nothing(cluster: Cluster) -> None:
    machine = cluster.machine
    joining(cluster, "w1", "worker", LB_ENGINE="nginx")
    machine.write("etc/kubeseed/lb/nginx.conf", BLOCK)
    machine.write("etc/kubeseed/node.curl", 'header = "Authorization: Node w1:x"\n', 0o600)
    for _ in range(2):
        assert machine.boot(f"{KUBESEED}/refresh", "backends")[0] == 0
    cluster.rules["/v1/backends"] = lambda asked: Answer(304 if asked.etag == '"b"' else 500)
    assert machine.boot(f"{KUBESEED}/refresh", "backends")[0] == 0
    assert machine.calls("systemctl").count("reload kubeseed-lb") == 1
    assert cluster.reports() == ["load-balancer done"]


def test_a_member_of_the_external_etcd(cluster: Cluster) -> None:
    machine = cluster.machine
    agree(machine, "etcd")
    cluster.files = archive({**FILES, "etcd.yaml": "name: etcd-e1\n"})
    kinds = "etcd-server etcd-peer etcd-healthcheck-client"
    seed(cluster, NODE="e1", ROLES="etcd", ETCD_TOPOLOGY="external", ETCD_NAME="etcd-e1", CERTIFICATES=kinds)
    machine.write("var/lib/kubeseed/base-packages", "")
    status, output = machine.boot()
    assert status == 0, output
    assert states(cluster)["etcd"] == "done"
    assert all(belongs(machine, f"etc/kubernetes/pki/etcd/{name}") for name in ("server", "peer", "healthcheck-client"))
    assert machine.read("etc/kubernetes/pki/etcd/ca.crt") == cluster.epoch.etcd.pem()
    assert not machine.path("etc/kubernetes/pki/etcd/ca.key").exists()
    assert machine.read("etc/kubeseed/etcd/etcd.yaml") == "name: etcd-e1\n"
    assert "--no-block restart kubeseed-etcd.service" in machine.calls("systemctl")
    assert machine.path("var/lib/etcd").stat().st_mode & 0o777 == 0o700


def test_etcd_without_quorum_is_waited_for(cluster: Cluster) -> None:
    machine = cluster.machine
    agree(machine, "etcd")
    cluster.files = archive({**FILES, "etcd.yaml": "name: etcd-e1\n"})
    seed(cluster, NODE="e1", ROLES="etcd", ETCD_TOPOLOGY="external", ETCD_NAME="etcd-e1", CERTIFICATES="")
    machine.write("var/lib/kubeseed/base-packages", "")
    cluster.quorum = False
    machine.boot_until("etcd has no quorum yet: are the other members on?")
    cluster.quorum = True
    status, output = machine.boot()
    assert status == 0, output


def test_the_data_of_an_epoch_that_never_completed_are_moved_aside(cluster: Cluster) -> None:
    machine = cluster.machine
    agree(machine, "etcd")
    seed(cluster, NODE="e1", ROLES="etcd", ETCD_TOPOLOGY="external", ETCD_NAME="etcd-e1", CERTIFICATES="")
    machine.write("var/lib/kubeseed/base-packages", "")
    machine.write("var/lib/kubeseed/etcd-epoch", "0")
    machine.write("var/lib/etcd/member/snap/db", "old")
    status, output = machine.boot()
    assert status == 0, output
    assert machine.read("var/lib/etcd/member.epoch-0/snap/db") == "old"
    assert not machine.path("var/lib/etcd/member").exists()


def test_the_vip_moves_between_balancers(cluster: Cluster) -> None:
    machine = cluster.machine
    agree(machine, "keepalived", "nginx")
    machine.write("usr/local/sbin/ip", "#!/bin/sh\necho '2: lan0    inet 127.0.0.1/8 scope host lan0'\n", 0o755)
    machine.path("etc/keepalived").mkdir()
    machine.write("var/lib/kubeseed/base-packages", "")
    cluster.files = archive({**FILES, "keepalived.conf": "auth_pass s3cret\n"})
    cluster.state = "complete"
    seed(cluster, NODE="b1", ROLES="lb", LB_MODE="vip", LB_VIP="192.0.2.1", LB_ENGINE="nginx", CERTIFICATES="")
    machine.write("var/lib/kubeseed/sentinel/preflight", "1 0 x\n")
    cluster.serve_as(lambda _: Answer(200, b"ok"), machine.listen(8081), None)
    status, output = machine.boot()
    assert status == 0, output
    assert machine.read("etc/kubeseed/lb/keepalived-interface.conf") == "interface lan0\n"
    assert machine.path("etc/keepalived/keepalived.conf").readlink().as_posix() == "/etc/kubeseed/lb/keepalived.conf"
    assert machine.path("etc/kubeseed/lb/keepalived.conf").stat().st_mode & 0o777 == 0o600
    assert "restart keepalived.service" in machine.calls("systemctl")
    assert {stage for stage, state in states(cluster).items() if state == "skipped"} >= {
        "engine",
        "init",
        "join",
        "verify",
    }


def test_the_vip_follows_an_api_server_of_this_cluster_only(cluster: Cluster) -> None:
    machine = cluster.machine
    stranger = Authority("stranger")
    cluster.serve_as(lambda _: Answer(200, b"ok"), machine.listen(8443), stranger)
    assert machine.boot(f"{KUBESEED}/check-apiserver")[0] == 0
    machine.write("etc/kubeseed/authorities/ca.crt", cluster.epoch.kubernetes.pem())
    assert machine.boot(f"{KUBESEED}/check-apiserver")[0] != 0
    machine.write("etc/kubeseed/authorities/ca.crt", stranger.pem())
    assert machine.boot(f"{KUBESEED}/check-apiserver")[0] == 0


def test_docker_with_cri_dockerd(cluster: Cluster) -> None:
    machine = cluster.machine
    agree(machine, "docker", "cri-dockerd")
    machine.listen_unix("var/stand-in/cri-dockerd.sock")
    cluster.files = archive({**FILES, "docker.json": "{}", "engine-proxy.conf": "[Service]\n"})
    seed(cluster, ENGINE="docker", CRI_SOCKET="unix:///var/stand-in/cri-dockerd.sock", PAUSE_IMAGE="k8s/pause:3.9")
    status, output = machine.boot()
    assert status == 0, output
    assert machine.read("etc/docker/daemon.json") == "{}"
    assert machine.read("etc/systemd/system/docker.service.d/kubeseed-proxy.conf") == "[Service]\n"
    drop_in = machine.read("etc/systemd/system/cri-docker.service.d/kubeseed.conf")
    assert "ExecStart=/usr/local/sbin/cri-dockerd --container-runtime-endpoint fd://" in drop_in
    assert "--pod-infra-container-image=k8s/pause:3.9" in drop_in


def test_a_vendors_key_is_fetched_under_the_systems_authorities(cluster: Cluster) -> None:
    machine = cluster.machine
    vendor = Authority("vendor")
    certificates = machine.path("etc/ssl/certs")
    (certificates / "ca-certificates.crt").write_text(vendor.pem())
    (certificates / "vendor.pem").write_text(vendor.pem())
    subprocess.run(["openssl", "rehash", certificates], check=True)
    url = cluster.serve_as(lambda _: Answer(200, b"KEY\n"), machine.listen(), vendor)
    machine.write("etc/kubeseed/files/keys/engine.url", f"{url}/gpg\n")
    machine.write("etc/kubeseed/files/packages.apt", "deb x\n")
    script = f'. {KUBESEED}/lib.sh; . "$KUBESEED/system.sh"; package_sources'
    assert machine.boot("sh", "-euc", script) == (0, "")
    assert machine.read("etc/apt/keyrings/kubeseed-engine.asc") == "KEY\n"


SECRETS = {
    "Authorization: Node m1:" + "ab" * 32: "Authorization: Node ***",
    "credential " + "0" * 64 + " end": "credential *** end",
    "kubeadm join --token abcdef.0123456789abcdef x": "kubeadm join --token *** x",
    '"token": "s3cret", x': '"token": ***, x',
    "client-key-data: LS0t": "client-key-data: ***",
    "ops:$6$rounds=5000$saltsalt$hash./hash:1": "ops:***:1",
    "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----": "***\n***\n***",
    "plain text\x07 with \u00fcml\u00e4ute": "plain text with mlute",
    "[init] Using Kubernetes version: v1.20.2": "[init] Using Kubernetes version: v1.20.2",
}


@pytest.mark.parametrize("shell", ["dash", "busybox"])
def test_logs_are_redacted(machine: Machine, shell: str) -> None:
    machine.shell = shell
    machine.seed("", None)
    machine.write("text", "".join(f"{text}\n" for text in SECRETS))
    script = f". {KUBESEED}/lib.sh; redact </text"
    assert machine.boot("sh", "-euc", script) == (0, "".join(f"{text}\n" for text in SECRETS.values()))
