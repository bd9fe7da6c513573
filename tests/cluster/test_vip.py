"""Scenario C: external etcd and a virtual address; its holder is switched off, the address moves, the API answers."""

import time
from pathlib import Path

import pytest

from tests.cluster.checks import check_everything
from tests.cluster.place import Cluster
from tests.cluster.proof import note
from tests.cluster.spec import VIP, Shape
from tests.lab.wait import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]

SHAPE = Shape("c", masters=3, topology="external", balancer={"mode": "vip", "engine": "nginx", "vip": VIP})
# One line a question: when it was answered, seconds since 1970, and how.
ASK = """while :; do
  code=$(curl -s --cacert "$0" --max-time 1 -o /dev/null -w '%{http_code}' "$1" || :)
  echo "$(date +%s.%N) $code"
  sleep 0.1
done"""


@pytest.fixture(scope="module")
def vip(made: Cluster) -> Cluster:
    made.power_on(made.shape.names)
    made.until_ready(made.shape.names)
    made.until_done(made.shape.names)
    return made


def holder(vip: Cluster) -> str:
    """The node that has the virtual address now; empty while it moves."""
    on = [name for name in vip.shape.names if vip.on(name)]
    return next((name for name in on if VIP in vip.inside(name, "ip", "-o", "address")), "")


def test_all_nodes_are_ready(vip: Cluster) -> None:
    assert set(vip.ready_nodes()) == set(vip.shape.names)
    times = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in sorted(vip.ready.items()))
    note("C", f"3 masters, external etcd, VIP by nginx + keepalived, containers: Ready after {times}")


def test_etcd_is_ours_and_not_kubeadms(vip: Cluster) -> None:
    assert len(vip.etcd("m1", "member", "list")["members"]) == 3
    assert not (vip.root("m1") / "etc/kubernetes/manifests/etcd.yaml").exists()


def test_certificates_keys_tokens_and_silence(vip: Cluster, tmp_path: Path) -> None:
    check_everything(vip, "m1", tmp_path)


def test_the_address_moves_when_its_holder_goes(vip: Cluster, tmp_path: Path) -> None:
    authority = vip.root("m1") / "etc/kubernetes/pki/ca.crt"
    answers = tmp_path / "answers"
    first = until("somebody has the address", lambda: holder(vip), 60)
    with vip.site.network.start(["sh", "-c", ASK, authority, f"https://{VIP}:8443/healthz"], answers):
        until("the API answers at the address", lambda: " 200" in answers.read_text(), 60)
        vip.site.cut_power(first)
        cut = time.time()
        until("the API answers again", lambda: (last_gap(answers.read_text(), cut) or 0) > 0, 120)
    second = until("another one has the address", lambda: holder(vip), 10)
    assert second != first
    survivors = [name for name in vip.shape.names if name != first]
    assert vip.kubectl(survivors[0], "get", "nodes", "-o", "name").count("node/") == 3
    note(
        "C",
        f"holder of the VIP cut off: the API answers at the VIP again after {last_gap(answers.read_text(), cut):.1f} s",
    )


def last_gap(answers: str, cut: float) -> float | None:
    """Seconds between the last good answer before a failed one after the cut, and the next good one."""
    good, failed = cut, False
    for line in answers.splitlines():
        when, _, code = line.partition(" ")
        if float(when) < cut - 2:
            continue
        if code == "200" and failed:
            return float(when) - good
        failed = failed or (code != "200" and float(when) > cut - 1)
        good = float(when) if code == "200" else good
    return None
