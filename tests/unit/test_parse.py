"""From a file to a checked cluster: all problems at once, warnings apart, exit codes by kind."""

import time
from pathlib import Path

import pytest

from generator.errors import ExitCode, LocalError, Severity, SpecError
from generator.parse import load_cluster, parse_cluster
from generator.profile import load_profiles
from generator.spec.cluster import Cluster

PROFILES = load_profiles()
RIGHT = """\
metadata: {name: prod}
coordinator: {url: https://192.168.77.2:8443}
etcd: {topology: stacked}
defaults: {network: {gateway: 192.168.77.1, nameservers: [192.168.77.1]}}
nodes:
- {name: m1, roles: [master, worker], address: 192.168.77.11}
"""
WARNED = RIGHT.replace(", worker", "")


def test_a_right_spec_is_a_cluster_without_a_word(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(RIGHT)
    cluster, warnings = load_cluster(spec, strict=True)
    assert isinstance(cluster, Cluster)
    assert cluster.first_master.name == "m1"
    assert warnings == ()


def test_warnings_stop_nothing_unless_strict() -> None:
    _, warnings = parse_cluster(WARNED, PROFILES)
    assert [warning.severity for warning in warnings] == [Severity.WARNING]
    with pytest.raises(SpecError) as caught:
        parse_cluster(WARNED, PROFILES, strict=True)
    assert [problem.severity for problem in caught.value.problems] == [Severity.ERROR]


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    wrong = RIGHT.replace("master", "mastr").replace("stacked", "stakced").replace("192.168.77.11", "192.168.77")
    with pytest.raises(SpecError) as caught:
        parse_cluster(wrong, PROFILES, file="spec.yaml")
    assert caught.value.exit_code is ExitCode.SPEC
    paths = [problem.path for problem in caught.value.problems]
    assert paths == [
        "etcd.topology",
        "nodes[0].roles[0]",
        "nodes[0].address",
    ]
    assert all(problem.file == "spec.yaml" and problem.hint for problem in caught.value.problems)


def test_a_key_that_is_there_twice_hides_no_other_problem() -> None:
    wrong = RIGHT.replace("master", "mastr").replace("stacked}", "stakced}\netcd: {topology: stacked}")
    with pytest.raises(SpecError) as caught:
        parse_cluster(wrong, PROFILES)
    assert [problem.path for problem in caught.value.problems] == ["etcd.topology", "etcd", "nodes[0].roles[0]"]


def test_a_key_that_is_there_twice_is_refused_in_a_spec_that_is_right_otherwise() -> None:
    with pytest.raises(SpecError, match="etcd: the key 'etcd' is already on line 3"):
        parse_cluster(RIGHT + "etcd: {topology: stacked}\n", PROFILES)
    with pytest.raises(SpecError, match="is not a series of names") as caught:
        parse_cluster(RIGHT + "- {name: 'w[01-x]', address: 192.168.77.20-192.168.77.21}\nnodes: []\n", PROFILES)
    assert [problem.path for problem in caught.value.problems] == ["nodes", "nodes[1].name"]


def test_a_missing_file_is_not_the_specs_fault(tmp_path: Path) -> None:
    with pytest.raises(LocalError) as caught:
        load_cluster(tmp_path / "absent.yaml")
    assert caught.value.exit_code is ExitCode.ENVIRONMENT


def test_aliases_are_told_where_they_lead() -> None:
    wrong = RIGHT + "- &w {name: w1, roles: [worker], address: 192.168.77.21}\n- *w\n"
    with pytest.raises(SpecError) as caught:
        parse_cluster(wrong, PROFILES)
    assert {problem.path for problem in caught.value.problems} == {"nodes[2].name", "nodes[2].address"}
    assert {problem.line for problem in caught.value.problems} == {7}


@pytest.mark.parametrize("spec", sorted((Path(__file__).resolve().parents[2] / "profiles" / "cluster").glob("*.yaml")))
def test_every_example_is_right(spec: Path) -> None:
    load_cluster(spec, strict=True)


def large(count: int) -> str:
    nodes = "\n".join(
        f"- {{name: n{i}, roles: [worker], address: 10.{i >> 16}.{i >> 8 & 255}.{i & 255}, labels: {{zone: a}}}}"
        for i in range(256, 256 + count)
    )
    head = RIGHT.replace("gateway: 192.168.77.1", "gateway: 10.0.0.1, prefix: 8").replace("192.168.77.11", "10.200.0.1")
    return f"network: {{podSubnet: 100.64.0.0/10, serviceSubnet: 172.30.0.0/16}}\n{head}{nodes}\n"


def test_ten_thousand_nodes_load_in_a_few_seconds() -> None:
    started = time.process_time()
    cluster, _ = parse_cluster(large(10_000), PROFILES, strict=True)
    assert len(cluster.nodes) == 10_001
    assert time.process_time() - started < 15


def test_ten_thousand_mistakes_are_told_in_a_few_seconds() -> None:
    started = time.process_time()
    with pytest.raises(SpecError) as caught:
        parse_cluster(large(10_000).replace("labels", "lables"), PROFILES)
    assert len(caught.value.problems) == 10_000
    assert time.process_time() - started < 15
