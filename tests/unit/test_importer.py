"""kubeadm-ha's files as a spec: what is carried, what is replaced or left out with a word, what is refused.

`UPDATE_GOLDEN=1 pytest tests/unit/test_importer.py` writes the expected texts and the page anew; review them like code.
"""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as some

from generator.errors import KubeseedError, SpecError
from generator.importer import Frame, import_spec, page
from generator.importer.ansible import parse_inventory
from generator.importer.page import HEADING
from generator.parse import parse_cluster
from generator.profile import load_profiles
from tests.unit.test_importer_variables import HOSTS, SHARED, imported

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data" / "kubeadm-ha"
PAGE = ROOT / "docs" / "kubeadm-ha.md"
PROFILES = load_profiles()
FRAME = Frame("prod", "debian-12", "https://10.77.0.2:8443")


def from_files() -> tuple[str, str]:
    """The spec of the fixture, and the warnings as they are told."""
    variables = ("variables.yaml", (DATA / "variables.yaml").read_bytes())
    found = import_spec((DATA / "hosts.ini").read_text(), variables, PROFILES["debian-12"], FRAME, file="hosts.ini")
    return found.text, "".join(f"{warning}\n" for warning in found.warnings)


@pytest.mark.parametrize(("name", "at"), [("cluster.yaml", 0), ("warnings.txt", 1)])
def test_the_fixture_becomes_these_words(name: str, at: int) -> None:
    text, golden = from_files()[at], DATA / name
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_the_spec_validates_and_is_what_was_meant() -> None:
    cluster, warnings = parse_cluster(from_files()[0], PROFILES)
    assert [problem.path for problem in warnings] == ["defaults.network.gateway", "defaults.network.nameservers"]
    assert [(node.name, [*node.roles], str(node.address), node.timezone) for node in cluster.nodes] == [
        ("master-1", ["master", "etcd"], "10.77.0.11", "Asia/Shanghai"),
        ("node-02", ["worker"], "192.0.2.2", "Asia/Shanghai"),
        ("node-03", ["worker"], "192.0.2.3", "Asia/Shanghai"),
        ("m1", ["master", "etcd", "lb"], "10.77.0.21", "Europe/Berlin"),
        ("e1", ["etcd", "worker", "lb"], "10.77.0.22", "Asia/Shanghai"),
    ]
    assert [node.disable_firewall for node in cluster.nodes] == [True, False, False, True, False]
    assert (str(cluster.load_balancer.vip), cluster.load_balancer.engine) == ("10.77.0.10", "haproxy")
    assert str(cluster.kubernetes.version) == "1.29.9"


def test_no_secret_is_carried_or_quoted() -> None:
    assert "planted" not in "".join(from_files())


def test_every_variable_that_is_not_in_the_spec_is_told() -> None:
    told = set(re.findall(r"warning: ([^:]+):", from_files()[1]))
    assert told >= {
        "ansible_ssh_pass", "ansible_user", "ansible_port", "docker_apt_repo", "docker_mirror", "etcd_certs_expired",
        "etcd_image", "ingress_controller_enabled", "kube_controller_terminated_pod_gc_threshold", "kube_encrypt_token",
        "kube_master_external_domain", "kube_master_external_ip", "kube_max_pods", "kube_max_podz", "kubeadm_token",
        "lb_haproxy_stats_password", "lb_keepalived_password", "node-02", "node-03",
        "restar_container_manager_force", "spare", "timezone", "[new-master]", "[del-node]",
    }  # fmt: skip


def test_unsafe_defaults_are_told_even_when_nobody_set_them() -> None:
    told = {problem.message.partition(":")[0] for problem in imported({}).warnings}
    assert told >= {"kubeadm_token", "kube_encrypt_token", "kube_master_external_ip", "kube_master_external_domain"}
    assert "lb_haproxy_stats_password" not in told
    haproxy = {problem.message.partition(":")[0] for problem in imported({"lb_mode": "haproxy"}).warnings}
    assert "lb_haproxy_stats_password" in haproxy
    docker = {problem.message.partition(":")[0] for problem in imported({"container_manager": "docker"}).warnings}
    assert "docker_insecure_registries" in docker


def test_kubeadm_has_own_files_import_and_validate() -> None:
    if not SHARED.exists():
        pytest.skip(f"kubeadm-ha's own files are not at hand: {SHARED.parent}")
    for path in sorted(SHARED.parent.glob("hosts.*.ini")):
        lines = SHARED.read_text().splitlines()
        switched_on = [line.removeprefix("# ") for line in lines if "版本" not in line]
        whole = "\n".join(switched_on).replace("\nkube_kubeadm_apiserver_extra_args: {}", "", 1)
        whole = whole.replace("\napiserver_extra_volumes: {}", "", 1)
        for text in (SHARED.read_text(), whole):
            variables = ("variables.yaml", text.encode())
            found = import_spec(path.read_text(), variables, PROFILES["debian-12"], FRAME, file=path.name)
            cluster, _ = parse_cluster(found.text, PROFILES)
            assert [str(node.address) for node in cluster.nodes] == [f"192.168.56.{last}" for last in range(11, 15)]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"lb_mode": "slb", "lb_kube_apiserver_ip": "203.0.113.9"}, {"mode": "external", "address": "203.0.113.9"}),
        ({"lb_mode": "slb"}, None),
        ({"lb_mode": "nginx", "lb_kube_apiserver_ip": "192.168.56.9"}, {"engine": "nginx"}),
    ],
)
def test_the_load_balancers_modes(variables: dict[str, Any], expected: object) -> None:
    assert yaml.safe_load(imported(variables).text).get("loadBalancer") == expected


def test_a_wrong_value_is_left_out_and_a_wrong_cluster_is_still_written() -> None:
    found = imported({"kube_max_pods": "lots", "kube_pod_subnet": "192.168.0.0/16", "custom_hosts": [1]})
    told = [str(problem) for problem in found.warnings]
    assert any("kube_max_pods: 'lots' is not a whole number; it is left out" in line for line in told)
    assert any("custom_hosts: a mapping is wanted here; it is left out" in line for line in told)
    with pytest.raises(SpecError, match="overlaps"):
        parse_cluster(found.text, PROFILES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"no \[group\] is in this inventory"),
        ("apiVersion: kubeseed/v1\nmetadata: {name: a}\n", r"no \[group\] is in this inventory"),
        ("[all]\n[etcd]\n", "no host is in this inventory"),
        ("[all]\nm1 ansible_host='10.0.0.1\n", "hosts.ini:2: error: a quote is left open"),
        ("[all]\nm1 master\n", "hosts.ini:2: error: 'master' is no variable"),
        ("[all]\nm1\n[all:vars]\nkube_version\n", "hosts.ini:4: error: a line of variables is name=value"),
        ("[all]\nm[3:1]\n", r"hosts.ini:2: error: 'm\[3:1\]' is no range of hosts"),
        ("[all]\nm[0:99999999999]\n", "is no range of hosts"),
    ],
)
def test_what_is_no_inventory(text: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        parse_inventory(text, "hosts.ini")


def test_an_inventory_as_ansible_reads_it() -> None:
    found = parse_inventory(
        "lone\n[a]\nn[08:10].x k='b c' # why\n[b:children]\na\nb\n"
        "[b:vars]\nlist=['x']\nword = x y ; z\n[all:vars]\nn=3\n",
        "hosts.ini",
    )
    assert found.members("b") == ("n08.x", "n09.x", "n10.x")
    assert {name: setting.value for name, setting in found.of_host("n08.x").items()} == {
        "k": "b c", "list": ["x"], "word": "x y ; z",
    }  # fmt: skip
    assert found.variables["all"]["n"].value == 3
    assert found.of_host("lone") == {}


@given(some.text() | some.text("[]:=;#ab1\n '\"-.") | some.from_regex(r"(\[[a-z:-]+\]\n[a-z0-9= \n]*)+"))
def test_no_inventory_makes_it_crash(text: str) -> None:
    try:
        found = import_spec(text, None, PROFILES["debian-12"], FRAME, file="hosts.ini")
    except KubeseedError as error:
        assert str(error)  # noqa: PT017 - most texts are no inventory, and any refusal will do
    else:
        yaml.safe_load(found.text)


VARIABLES = some.sampled_from(["timezone", "kube_version", "custom_hosts", "no_proxy", "kube_dns_domain"])
VALUES = some.text(max_size=8) | some.integers() | some.lists(some.text(max_size=3)) | some.none()


@given(some.dictionaries(VARIABLES, VALUES))
def test_no_value_makes_the_text_something_else_than_yaml(variables: dict[str, Any]) -> None:
    assert list(yaml.safe_load(imported(variables).text))[:2] == ["apiVersion", "kind"]


def test_hosts_are_all_there() -> None:
    names = [node["name"] for node in yaml.safe_load(imported({}).text)["nodes"]]
    assert names == re.findall(r"^([mw]\d) ", HOSTS, re.MULTILINE)


def test_the_page_shows_the_table() -> None:
    written = PAGE.read_text()
    current = written.partition(HEADING)[0] + page()
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(current)
    assert PAGE.read_text() == current
