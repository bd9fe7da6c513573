"""Certificates are made anew while the old ones still hold, and the old ones stay where the new ones do not work."""

import datetime
import json
from collections.abc import Iterator

import pytest
from cryptography import x509

from tests.node.cluster import KUBESEED, MASTER, Cluster, belongs, client_of, fits, joining, seed
from tests.node.coordinator import Answer, Asked, Authority, in_turn, refusal

RENEW = f"{KUBESEED}/renew"
EVERY = f"{MASTER} apiserver-kubelet-client front-proxy-client controller-manager scheduler kubelet-client"
APISERVER, KUBELET = "etc/kubernetes/pki/apiserver", "var/lib/kubelet/pki/kubelet"


@pytest.fixture
def master(cluster: Cluster) -> Cluster:
    """A master whose bootstrap is over, with certificates whose life is nearly at its end."""
    return settled(cluster, EVERY)


def settled(cluster: Cluster, kinds: str, **facts: str) -> Cluster:
    machine = cluster.machine
    seed(cluster, CERTIFICATES=kinds, **facts)
    machine.write("etc/kubeseed/node.curl", 'header = "Authorization: Node m1:x"\n', 0o600)
    machine.write("etc/kubernetes/manifests/kube-apiserver.yaml", "whole\n")
    for name, text in cluster.epoch.certificates().items():
        machine.write(f"etc/kubeseed/authorities/{name}", text)
    grow_old(cluster, days=9, of=30)
    cluster.come_alive()
    status, output = machine.boot("/bin/sh", "-euc", OBTAIN)
    assert status == 0, output
    machine.path("etc/kubeseed/kubelet-client.crt").unlink(missing_ok=True)
    machine.write("var/lib/kubeseed/done", "1 1\n")
    cluster.asked.clear()
    grow_old(cluster, days=30, of=30)
    return cluster


OBTAIN = f". {KUBESEED}/lib.sh; . {KUBESEED}/kubernetes.sh; obtain $CERTIFICATES"


def grow_old(cluster: Cluster, days: float, of: float) -> None:
    """What is signed from now on has these days left of its life."""
    now = datetime.datetime.now(datetime.UTC)
    for authority in (cluster.epoch.kubernetes, cluster.epoch.front_proxy, cluster.epoch.etcd):
        authority.life = now - datetime.timedelta(days=of - days), now + datetime.timedelta(days=days)


def serials(cluster: Cluster) -> dict[str, int]:
    """The serial number of every certificate that is in use."""
    machine = cluster.machine
    places = [*machine.path("etc/kubernetes/pki").rglob("*.crt"), machine.path(f"{KUBELET}.crt")]
    found = {str(path.relative_to(machine.root)): path.read_bytes() for path in places if path.exists()}
    read = {name: x509.load_pem_x509_certificate(pem).serial_number for name, pem in found.items()}
    confs = [path.stem for path in machine.path("etc/kubernetes").glob("*.conf")]
    return read | {name: client_of(machine, name)[0].serial_number for name in confs}


def asked_for(cluster: Cluster) -> list[str]:
    return [asked.route.rpartition("/")[2] for asked in cluster.asked if "/certificates/" in asked.route]


def reports(cluster: Cluster) -> Iterator[tuple[str, str, str]]:
    for asked in cluster.asked:
        if asked.route == "/v1/reports":
            yield asked.form["stage"][0], asked.form["state"][0], asked.form["log"][0]


@pytest.mark.parametrize("shell", ["dash", "busybox", "bash"])
def test_every_certificate_is_renewed_and_taken_up(master: Cluster, shell: str) -> None:
    machine, before = master.machine, serials(master)
    machine.shell = shell
    status, output = machine.boot(*(["/bin/busybox", "sh"] if shell == "busybox" else [f"/bin/{shell}"]), RENEW)
    assert status == 0, output
    after = serials(master)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    for pair in (APISERVER, KUBELET, "etc/kubernetes/pki/etcd/healthcheck-client"):
        assert belongs(machine, pair)
        assert machine.path(f"{pair}.key").stat().st_mode & 0o777 == 0o600
    for name in ("admin", "controller-manager", "scheduler"):
        assert fits(*client_of(machine, name))
        assert machine.path(f"etc/kubernetes/{name}.conf").stat().st_mode & 0o777 == 0o600
    assert machine.calls("systemctl").count("restart kubelet") == 1
    ((stage, state, log),) = reports(master)
    assert (stage, state) == ("pki", "done")
    assert (
        log.count("renewed until") == len(EVERY.split()) - 1
    )  # the kubelet's client certificate went with the bootstrap
    assert "kubelet-client" not in asked_for(master)


def test_what_reads_a_kubeconfig_once_is_restarted_and_nothing_else(master: Cluster) -> None:
    """Two programs with a kubeconfig of their own, and one that only speaks of it."""
    runs = "/bin/sh -c '/usr/bin/sleep 60; :' x"
    named = f"{runs} --kubeconfig=/etc/kubernetes/scheduler.conf --leader-elect=true & one=$!"
    other = f"{runs} --kubeconfig=/etc/kubernetes/admin.conf & two=$!"
    speaks = f"{runs} --note=--kubeconfig=/etc/kubernetes/scheduler.conf & three=$!"
    lives = "for process in $one $two $three; do kill -0 $process 2>/dev/null && echo lives || echo ended; done"
    machine = master.machine
    status, output = machine.boot("/bin/sh", "-c", f"{named}; {other}; {speaks}; {RENEW} scheduler; {lives}")
    assert output.splitlines()[-3:] == ["ended", "lives", "lives"], (status, output)


def test_keys_are_new_and_the_old_pair_is_kept(master: Cluster) -> None:
    machine = master.machine
    key = machine.path(f"{APISERVER}.key").read_bytes()
    assert machine.boot(RENEW)[0] == 0
    assert machine.path(f"{APISERVER}.key").read_bytes() != key
    assert machine.path(f"{APISERVER}.key.old").read_bytes() == key
    assert machine.path(f"{APISERVER}.key.old").stat().st_mode & 0o777 == 0o600
    left = [path.name for path in machine.root.rglob("*.next.*")]
    assert not left


def test_what_has_a_third_of_its_life_left_stays(cluster: Cluster) -> None:
    settled(cluster, MASTER)
    grow_old(cluster, days=11, of=30)
    machine = cluster.machine
    assert machine.boot("/bin/sh", "-euc", f"rm -f /{APISERVER}.crt; {OBTAIN}")[0] == 0
    before = serials(cluster)
    cluster.asked.clear()
    assert machine.boot(RENEW)[0] == 0
    after = serials(cluster)
    assert after[f"{APISERVER}.crt"] == before[f"{APISERVER}.crt"]
    assert "apiserver" not in asked_for(cluster)
    cluster.asked.clear()
    assert machine.boot(RENEW)[0] == 0
    assert [asked.route for asked in cluster.asked] == ["/v1/root"]
    assert serials(cluster) == after


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(0), "no good answer"),
        (refusal(503, "the store is not available"), "the store is not available"),
        (refusal(401, "unknown, expired, revoked or wrong"), "does not accept this node"),
        (Answer(200, b"no certificate"), "does not fit its authority"),
    ],
)
def test_what_cannot_be_had_leaves_the_old_ones_working(master: Cluster, answer: Answer, words: str) -> None:
    machine, before = master.machine, serials(master)
    rule = master.rules["/v1/certificates/apiserver"]
    master.rules["/v1/certificates/apiserver"] = in_turn(answer, rule)
    status, output = machine.boot(RENEW)
    assert status == 1
    assert "not renewed: apiserver;" in output
    assert serials(master)[f"{APISERVER}.crt"] == before[f"{APISERVER}.crt"]
    assert serials(master)["admin"] != before["admin"]
    assert belongs(machine, APISERVER)
    ((stage, state, log),) = reports(master)
    assert (stage, state) == ("pki", "failed")
    assert words in log
    assert machine.boot(RENEW)[0] == 0
    assert list(reports(master))[-1][:2] == ("pki", "done")
    assert serials(master)[f"{APISERVER}.crt"] != before[f"{APISERVER}.crt"]


def test_a_certificate_of_another_authority_is_not_taken(master: Cluster) -> None:
    machine, before = master.machine, serials(master)

    def foreign(asked: Asked) -> Answer:
        return Answer(200, master.root.sign("x", x509.load_pem_x509_csr(asked.body).public_key()).encode())

    master.rules["/v1/certificates/apiserver"] = foreign
    assert machine.boot(RENEW)[0] == 1
    assert serials(master)[f"{APISERVER}.crt"] == before[f"{APISERVER}.crt"]


def test_a_kubelet_that_does_not_come_up_gets_its_old_certificate_back(master: Cluster) -> None:
    machine, before = master.machine, serials(master)
    systemctl = machine.read("usr/local/sbin/systemctl")
    machine.write("usr/local/sbin/systemctl", systemctl + '[ "$*" != "restart kubelet" ] || exit 1\n', 0o755)
    status, output = machine.boot(RENEW)
    assert status == 1
    assert "kubelet-serving: what uses it does not come up with the new certificate" in output
    assert serials(master)[f"{KUBELET}.crt"] == before[f"{KUBELET}.crt"]
    assert belongs(machine, KUBELET)
    assert list(reports(master))[-1][1] == "failed"
    assert machine.calls("systemctl").count("restart kubelet") == 2


def test_a_power_cut_between_the_renames_is_mended(master: Cluster) -> None:
    machine = master.machine
    cut = 'mv() { /bin/mv "$@"; case $* in *"apiserver.next.key "*) kill -9 $$ ;; esac; }\n'
    text = machine.read("usr/local/lib/kubeseed/renew")
    machine.write("usr/local/lib/kubeseed/renew", text.replace("MARKS=", f"{cut}MARKS=", 1), 0o755)
    machine.boot(RENEW, "apiserver")
    assert not belongs(machine, APISERVER)
    machine.write("usr/local/lib/kubeseed/renew", text, 0o755)
    status, output = machine.boot(RENEW)
    assert status == 0, output
    assert belongs(machine, APISERVER)
    assert not list(machine.path("var/lib/kubeseed/renewed").iterdir())


def test_what_was_replaced_and_not_taken_up_is_taken_up(master: Cluster) -> None:
    machine = master.machine
    assert machine.boot(RENEW)[0] == 0
    machine.write("var/lib/kubeseed/renewed/kubelet-serving", "")
    count = machine.calls("systemctl").count("restart kubelet")
    assert machine.boot(RENEW)[0] == 0
    assert machine.calls("systemctl").count("restart kubelet") == count + 1


def test_a_kubeconfig_of_kubeadm_is_read_as_well(master: Cluster) -> None:
    """`kubeadm certs renew` and `upgrade` write YAML, with certificates that have long to live."""
    machine = master.machine
    conf = json.loads(machine.read("etc/kubernetes/admin.conf"))
    user = conf["users"][0]["user"]
    assert machine.boot(RENEW, "scheduler")[0] == 0
    fresh = json.loads(machine.read("etc/kubernetes/scheduler.conf"))["users"][0]["user"]["client-certificate-data"]
    text = f"users:\n- name: kubernetes-admin\n  user:\n    client-certificate-data: {fresh}\n    client-key-data: x\n"
    assert user["client-certificate-data"] != fresh
    machine.write("etc/kubernetes/admin.conf", text, 0o600)
    assert machine.boot(RENEW)[0] == 0
    assert machine.read("etc/kubernetes/admin.conf") == text


def test_another_root_is_trusted_once_the_coordinator_answers_under_it(master: Cluster) -> None:
    machine, both = master.machine, master.root.pem() + Authority("the next root").pem()
    grow_old(master, days=30, of=30)
    assert machine.boot(RENEW)[0] == 0
    master.asked.clear()
    master.rules["/v1/root"] = lambda _: Answer(200, both.encode())
    master.rules["/healthz"] = lambda _: Answer(200, b"ok")
    for _ in range(2):
        status, output = machine.boot(RENEW)
        assert status == 0, output
        assert machine.read("etc/kubeseed/ca.crt") == both
    assert machine.read("etc/kubeseed/ca.crt.old") == master.root.pem()
    ((stage, state, log),) = reports(master)
    assert (stage, state) == ("pki", "done")
    assert "known by 2 now" in log


@pytest.mark.parametrize("sent", ["", "nonsense", "stranger"])
def test_roots_that_the_coordinator_does_not_answer_under_are_not_kept(master: Cluster, sent: str) -> None:
    machine = master.machine
    roots = Authority("a stranger").pem() if sent == "stranger" else sent
    master.rules["/v1/root"] = lambda _: Answer(200, roots.encode())
    assert machine.boot(RENEW)[0] == 1
    assert machine.read("etc/kubeseed/ca.crt") == master.root.pem()
    assert "root" in next(reports(master))[2]


def test_nothing_is_looked_at_before_the_bootstrap_is_over(master: Cluster) -> None:
    master.machine.path("var/lib/kubeseed/done").unlink()
    assert master.machine.boot(RENEW) == (0, "")
    assert master.asked == []


def test_the_bootstrap_enables_the_timer(cluster: Cluster) -> None:
    joining(cluster, "w1", "worker")
    status, output = cluster.machine.boot()
    assert status == 0, output
    assert "--no-reload enable kubeseed-renew.timer" in cluster.machine.calls("systemctl")
