"""Many nodes written as one: series of names and addresses, and tables beside the spec."""

import csv
import io
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from generator.errors import LocalError, SpecError
from generator.parse import load_spec, parse_cluster
from generator.profile import load_profiles
from generator.source import parse_table
from generator.source.read import LIMIT
from generator.spec.cluster import Cluster
from generator.value import InvalidValueError
from generator.value.series import LARGEST, addresses_of, macs_of, names_of

PROFILES = load_profiles()
HEAD = """\
metadata: {name: big}
coordinator: {url: https://10.0.0.2:8443}
etcd: {topology: stacked}
network: {podSubnet: 172.16.0.0/12, nodePrefix: 26}
kubernetes: {maxPods: 50}
defaults: {network: {gateway: 10.20.0.1, nameservers: [10.20.0.1], prefix: 16}}
nodes:
- {name: m1, roles: [master], address: 10.20.255.1}
"""


def cluster(nodes: str, **tables: str) -> Cluster:
    return parse_cluster(
        HEAD + nodes, PROFILES, strict=True, read=lambda name: parse_table(tables[name[:-4]].encode(), name)
    )[0]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("w1", None),
        ("w[1-3]", ["w1", "w2", "w3"]),
        ("w[9-11]", ["w9", "w10", "w11"]),
        ("w[009-011]", ["w009", "w010", "w011"]),
        ("w[0-1].rack-a.example", ["w0.rack-a.example", "w1.rack-a.example"]),
        ("w[7-7]", ["w7"]),
    ],
)
def test_a_series_of_names(text: str, names: list[str] | None) -> None:
    assert names_of(text) == names


@pytest.mark.parametrize(
    "text", ["w[1-]", "w[a-c]", "w[3-1]", "w[008-10]", "w[1-2][1-2]", "w[", "w]1[", "w[1-99999999]"]
)
def test_what_is_no_series_of_names(text: str) -> None:
    with pytest.raises(InvalidValueError):
        names_of(text)


def test_series_of_addresses_go_over_the_end_of_a_byte() -> None:
    assert addresses_of("10.0.0.254-10.0.1.1") == ["10.0.0.254", "10.0.0.255", "10.0.1.0", "10.0.1.1"]
    assert addresses_of("fd00::fffe - fd00::1:0") == ["fd00::fffe", "fd00::ffff", "fd00::1:0"]
    assert macs_of("52:54:00:00:00:fe-52:54:00:00:01:01") == [
        "52:54:00:00:00:fe", "52:54:00:00:00:ff", "52:54:00:00:01:00", "52:54:00:00:01:01",
    ]  # fmt: skip
    assert addresses_of("10.0.0.1") is macs_of("52-54-00-00-00-01") is macs_of("52:54:00:00:00:01") is None


@pytest.mark.parametrize("text", ["10.0.0.2-10.0.0.1", "10.0.0.1-fd00::1", "10.0.0.1-", "1-2-3", "10.0.0.0-10.9.0.0"])
def test_what_is_no_series_of_addresses(text: str) -> None:
    with pytest.raises(InvalidValueError):
        addresses_of(text)


WORKERS = """\
- name: w[1-3]
  roles: [worker]
  address: 10.20.0.254-10.20.1.0
  mac: 52:54:00:00:00:ff-52:54:00:00:01:01
  labels: {zone: a}
"""
WRITTEN_OUT = """\
- {name: w1, roles: [worker], address: 10.20.0.254, mac: "52:54:00:00:00:ff", labels: {zone: a}}
- {name: w2, roles: [worker], address: 10.20.0.255, mac: "52:54:00:00:01:00", labels: {zone: a}}
- {name: w3, roles: [worker], address: 10.20.1.0, mac: "52:54:00:00:01:01", labels: {zone: a}}
"""


def test_a_series_is_the_same_as_its_nodes_written_out() -> None:
    assert cluster(WORKERS) == cluster(WRITTEN_OUT)


def test_a_table_is_the_same_as_its_nodes_written_out() -> None:
    table = (
        'name,mac,address\n# the first rack\n\nw1,52:54:00:00:00:ff,10.20.0.254\n "w2" ,52:54:00:00:01:00,10.20.0.255\n'
    )
    table += "w3,52:54:00:00:01:01,10.20.1.0\n"
    assert cluster("- {from: rack.csv, roles: [worker], labels: {zone: a}}\n", rack=table) == cluster(WRITTEN_OUT)


def test_a_table_of_addresses_beside_a_series_of_names() -> None:
    table = "address,mac\n10.20.0.254,52:54:00:00:00:ff\n10.20.0.255,52:54:00:00:01:00\n10.20.1.0,52:54:00:00:01:01\n"
    entry = "- {from: rack.csv, name: 'w[1-3]', roles: [worker], labels: {zone: a}}\n"
    assert cluster(entry, rack=table) == cluster(WRITTEN_OUT)


def test_a_column_is_any_key_of_a_node() -> None:
    table = (
        "name,roles,address,os,macs,productUuid,serial,upgradeKernel,network.mtu,network.nameservers,labels.zone,"
        "labels.example.org/rack,disk.device,hosts.10.20.9.9\n"
        "w1,worker lb,10.20.0.5,rocky-9,52:54:00:00:00:01 52:54:00:00:00:02,4c4c4544-0042-3510-8052-b4c04f4e3132,0012,"
        "true,9000,10.20.0.8 10.20.0.9,b,r7,/dev/sdb,nas nas.example.org\n"
        "w2,worker,10.20.0.6,,,,,,,,,,,\n"
    )
    entry = "- {from: t.csv, labels: {zone: a, pool: p}, network: {vlan: 7}}\n"
    balancer = "loadBalancer: {mode: vip, vip: 10.20.0.99}\n"
    written = """\
- name: w1
  roles: [worker, lb]
  address: 10.20.0.5
  os: rocky-9
  macs: ["52:54:00:00:00:01", "52:54:00:00:00:02"]
  productUuid: 4c4c4544-0042-3510-8052-b4c04f4e3132
  serial: "0012"
  upgradeKernel: true
  network: {vlan: 7, mtu: 9000, nameservers: [10.20.0.8, 10.20.0.9]}
  labels: {zone: b, pool: p, example.org/rack: r7}
  disk: {device: /dev/sdb}
  hosts: {10.20.9.9: [nas, nas.example.org]}
- {name: w2, roles: [worker], address: 10.20.0.6, labels: {zone: a, pool: p}, network: {vlan: 7}, macs: [MAC]}
- {name: l2, roles: [lb], address: 10.20.0.7}
"""
    table = table.replace("w2,worker,10.20.0.6,,", "w2,worker,10.20.0.6,,52:54:00:00:00:03")
    many = cluster(f"{entry}- {{name: l2, roles: [lb], address: 10.20.0.7}}\n{balancer}", t=table)
    one_by_one = cluster(written.replace("MAC", '"52:54:00:00:00:03"') + balancer)
    assert many == one_by_one


def told(nodes: str, **tables: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        cluster(nodes, **tables)
    return [problem.headline for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("", "rack.csv: error: the table is empty"),
        ("# nothing\n\n", "rack.csv: error: the table is empty"),
        ("name,address\n", "spec:9:10: error: nodes[1].from: rack.csv names no node"),
        ("name;address\nw1;10.20.0.5\n", "rack.csv:1:1: error: fields are separated by commas, not ';'"),
        ("name,name\nw1,w2\n", "rack.csv:1:6: error: the column 'name' is there twice"),
        ("name,\nw1,w2\n", "rack.csv:1:6: error: this column has no name"),
        ("name,address\nw1\n", "rack.csv:2:1: error: the line has 1 fields, the first line names 2 columns"),
        ("name,address\nw1,2.0.5,x\n", "rack.csv:2:10: error: the line has 3 fields, the first line names 2 columns"),
        ('name,address\nw1,"10.20.0.5\n', "rack.csv:2:4: error: a quote is out of place"),
        ("name,address\0\n", "rack.csv: error: this is a binary file, not a CSV file"),
        ("from,address\nw1,10.20.0.5\n", "rack.csv:1:1: error: a node has no key 'from'"),
        ("name,labels\nw1,a\n", "rack.csv:1:6: error: 'labels' has keys of its own"),
        ("name\nw1\nw2\n", "spec:9:10: error: nodes[1].from: 2 nodes, but nothing gives each of them its own address"),
        ("name,address\nw1,\n", "rack.csv:2:4: error: address: this key is required"),
        ("name,address\nm1,10.20.0.5\n", "rack.csv:2:1: error: name: there are two nodes called m1"),
        ("address,name,arch\n10.20.0.5,w1,x86\n", "rack.csv:2:14: error: arch: 'x86' is not allowed here"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_told_with_its_place(table: str, line: str) -> None:
    assert told("- {from: rack.csv, roles: [worker]}\n", rack=table) == [line]


def test_a_table_that_is_not_there_is_told_where_it_is_named(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"{HEAD}- {{from: rack.csv, roles: [worker]}}\n")
    with pytest.raises(
        SpecError, match=r"spec.yaml:9:10: error: nodes\[1\].from: .*rack.csv: cannot read the table: No"
    ):
        load_spec(spec)
    (tmp_path / "rack.csv").write_bytes(b"x" * (LIMIT + 1))
    with pytest.raises(SpecError, match="more than 20 MB, the most a table may have"):
        load_spec(spec)


def test_a_spec_that_is_no_file_has_no_tables() -> None:
    with pytest.raises(SpecError, match="has no tables beside it"):
        parse_cluster(HEAD + "- {from: rack.csv, roles: [worker]}\n", PROFILES)


def test_what_all_nodes_of_an_entry_have_in_common_is_said_once() -> None:
    more = "(and 2 more nodes of this entry)"
    assert told(WORKERS.replace("zone: a", "zo ne: a")) == [
        f"spec:13:19: error: nodes[1].labels[\"zo ne\"]: 'zo ne' is not a label's key {more}"
    ]


def test_the_digest_is_of_all_files(tmp_path: Path) -> None:
    spec, table = tmp_path / "spec.yaml", tmp_path / "rack.csv"
    spec.write_text(f"{HEAD}- {{from: rack.csv, roles: [worker]}}\n")
    digests = set()
    for address in ("10.20.0.5", "10.20.0.6", "10.20.0.5"):
        table.write_text(f"name,address\nw1,{address}\n")
        digests.add(load_spec(spec).digest)
    assert len(digests) == 2


plain = some.text(some.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=("Cc", "Zs")), max_size=6)


@given(some.lists(some.lists(plain, min_size=3, max_size=3), min_size=1, max_size=5))
def test_fields_are_what_pythons_csv_module_wrote(rows: list[list[str]]) -> None:
    rows = [[f"r{field}", *rest] for field, *rest in rows]
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([["a", "b", "c"], *rows])
    data: Any = parse_table(written.getvalue().encode(), "t.csv").data
    assert [list(row.values()) for row in data if row] == rows


@given(some.text() | some.text(',"\n ab#;'))
def test_no_table_makes_it_crash(text: str) -> None:
    try:
        parse_table(text.encode(errors="replace"), "t.csv")
    except SpecError as error:
        assert str(error)  # noqa: PT017 - most texts are no table, and any refusal will do


def test_ten_thousand_nodes_of_one_entry_load_in_a_few_seconds() -> None:
    entry = "- {name: 'w[00001-10000]', roles: [worker], address: 10.20.0.2-10.20.39.17}\n"
    started = time.process_time()
    found = cluster(entry)
    assert len(found.nodes) == 10_001
    assert time.process_time() - started < 15
    with pytest.raises(SpecError, match=f"at most {LARGEST}"):
        cluster(entry + entry.replace("w[", "x[") + "- {name: w, roles: [worker], address: 10.20.99.9}\n")


def test_a_spec_that_is_wrong_elsewhere_is_still_told() -> None:
    assert told("- {name: [w], roles: [worker], address: 10.20.0.5}\n") == [
        "spec:9:10: error: nodes[1].name: text is wanted here, not a list"
    ]


def test_an_unreadable_table_is_the_specs_fault_not_a_crash() -> None:
    def read(name: str) -> Any:
        raise LocalError.because("permission denied", file=name)

    with pytest.raises(SpecError, match="permission denied"):
        parse_cluster(HEAD + "- {from: rack.csv, roles: [worker]}\n", PROFILES, read=read)
