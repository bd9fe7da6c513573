"""The models: defaults, inheritance, immutability, and that every field explains itself."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from generator.secret import Secret
from generator.spec import shape
from generator.spec.cluster import Cluster
from generator.spec.engine import Engine, EngineName
from generator.spec.field import EMPTY, Section
from generator.spec.frozenmap import FrozenMap
from generator.spec.node import Role

HASH = "$6$saltsalt$" + "a" * 86
MINIMAL: dict[str, Any] = {
    "metadata": {"name": "prod"},
    "coordinator": {"url": "https://192.168.77.2:8443"},
    "nodes": [{"name": "m1", "roles": ["master"], "address": "192.168.77.11"}],
}


def cluster(**changes: Any) -> Cluster:
    return Cluster.model_validate({**MINIMAL, **changes})


def nodes(*extra: dict[str, Any]) -> list[dict[str, Any]]:
    base = MINIMAL["nodes"][0]
    return [{**base, "name": f"n{number}", **each} for number, each in enumerate(extra)]


def test_only_name_coordinator_and_nodes_are_required() -> None:
    spec = cluster()
    assert str(spec.kubernetes.version) == "1.30.5"
    assert spec.network.plugin == "flannel"
    assert not any((spec.addons.ingress.enabled, spec.addons.metrics_server.enabled, spec.addons.dashboard.enabled))
    for key in MINIMAL:
        with pytest.raises(ValidationError):
            Cluster.model_validate({name: value for name, value in MINIMAL.items() if name != key})


def test_a_node_inherits_what_it_does_not_say() -> None:
    spec = cluster(
        defaults={"os": "rocky-9", "timezone": "Etc/UTC", "network": {"gateway": "10.0.0.1", "prefix": 16}},
        nodes=nodes({}, {"os": "debian-13", "network": {"prefix": 20}}),
    )
    first, second = spec.nodes
    assert (first.os, first.timezone, first.network.prefix) == ("rocky-9", "Etc/UTC", 16)
    assert (second.os, second.timezone, second.network.prefix) == ("debian-13", "Etc/UTC", 20)
    assert str(second.network.gateway) == "10.0.0.1"
    assert str(second.subnet) == "192.168.64.0/20"


def test_a_node_may_go_back_to_a_default_value() -> None:
    spec = cluster(
        defaults={"os": "rocky-9", "disableFirewall": False, "network": {"gateway": "10.0.0.1"}},
        nodes=nodes({"os": "debian-12", "disableFirewall": True, "network": {"gateway": None}}),
    )
    assert (spec.nodes[0].os, spec.nodes[0].disable_firewall) == ("debian-12", True)
    assert spec.nodes[0].network.gateway is None


def test_lists_are_inherited_whole() -> None:
    spec = cluster(defaults={"ntp": ["a.example.org", "b.example.org"]}, nodes=nodes({}, {"ntp": ["c.example.org"]}))
    assert spec.nodes[0].ntp == ("a.example.org", "b.example.org")
    assert spec.nodes[1].ntp == ("c.example.org",)


def test_who_is_who_keeps_the_order_of_the_spec() -> None:
    spec = cluster(
        nodes=nodes(
            {"roles": ["worker"]}, {"roles": ["master", "etcd"]}, {"roles": ["etcd", "lb"]}, {"roles": ["master"]}
        )
    )
    assert spec.first_master.name == "n1"
    assert [node.name for node in spec.masters] == ["n1", "n3"]
    assert [node.name for node in spec.etcd_members] == ["n1", "n2"]
    assert [node.name for node in spec.workers] == ["n0"]
    assert [node.name for node in spec.load_balancers] == ["n2"]
    assert [node.name for node in spec.nodes_of(Role.LB)] == ["n2"]
    stacked = cluster(etcd={"topology": "stacked"}, nodes=nodes({"roles": ["master"]}, {"roles": ["worker"]}))
    assert stacked.etcd_members == stacked.masters


def test_mac_and_macs_are_one_list() -> None:
    spec = cluster(nodes=nodes({"mac": "52-54-00-00-00-01", "macs": ["52:54:00:00:00:02", "52:54:00:00:00:01"]}))
    assert spec.nodes[0].all_macs == ("52:54:00:00:00:01", "52:54:00:00:00:02")


def test_url_and_urls_are_one_list() -> None:
    spec = cluster(coordinator={"url": "https://a:1", "urls": ["https://b:2"]})
    assert spec.coordinator.all_urls == ("https://a:1", "https://b:2")


def test_each_engine_has_its_own_data_directory() -> None:
    assert Engine().data_directory == "/var/lib/containerd"
    assert Engine(name=EngineName.DOCKER).data_directory == "/var/lib/docker"
    assert cluster(engine={"dataDir": "/data"}).engine.data_directory == "/data"


def test_nothing_can_be_changed() -> None:
    spec = cluster(nodes=nodes({"labels": {"zone": "a"}}))
    with pytest.raises(ValidationError):
        spec.kind = "Other"  # type: ignore[assignment,misc]  # the point of the test
    with pytest.raises(TypeError):
        spec.nodes[0].labels["zone"] = "b"  # type: ignore[index]  # the point of the test
    assert hash(spec) == hash(cluster(nodes=nodes({"labels": {"zone": "a"}})))


def test_frozen_maps_compare_as_mappings() -> None:
    assert FrozenMap({"a": 1, "b": 2}) == {"b": 2, "a": 1}
    assert hash(FrozenMap({"a": 1, "b": 2})) == hash(FrozenMap({"b": 2, "a": 1}))
    assert len(EMPTY) == 0
    assert repr(FrozenMap({"a": 1})) == "{'a': 1}"


def test_secrets_are_wrapped_and_stay_out_of_dumps() -> None:
    spec = cluster(defaults={"users": [{"name": "ops", "passwordHash": HASH}]})
    kept = spec.nodes[0].users[0].password_hash
    assert isinstance(kept, Secret)
    assert kept.reveal() == HASH
    assert HASH not in repr(spec) + str(spec) + json.dumps(spec.model_dump(mode="json")) + spec.model_dump_json()


def test_a_validation_error_does_not_hold_a_secret_in_its_text() -> None:
    with pytest.raises(ValidationError) as caught:
        cluster(defaults={"users": [{"name": "ops", "passwordHash": "hunter2-planted"}]})
    assert "planted" not in str(caught.value)


def test_words_for_booleans_are_flags_of_the_api_server() -> None:
    spec = cluster(kubernetes={"apiServer": {"extraArgs": {"profiling": False, "v": 2}}})
    assert spec.kubernetes.api_server.extra_args == {"profiling": "false", "v": "2"}


def sections() -> set[type[Section]]:
    return {Cluster, *(found.section for _, found in shape.walk() if found.section)}


def test_every_field_explains_itself() -> None:
    silent = [path for path, found in shape.walk() if not (found.field and found.field.description)]
    assert silent == []
    assert [section for section in sections() if not section.__doc__] == []


def test_every_key_is_camel_case_and_every_section_is_closed_and_frozen() -> None:
    keys = {path[-1] for path, _ in shape.walk()}
    assert [key for key in keys if "_" in key or not key[0].islower()] == []
    for section in sections():
        assert section.model_config["extra"] == "forbid"
        assert section.model_config["frozen"]


def test_shapes_lead_through_lists_maps_and_sections() -> None:
    mac = shape.at(("nodes", 3, "mac"))
    assert mac is not None
    assert mac.field is not None
    assert shape.at(("nodes", 0, "labels", "any")) is not None
    assert shape.at(("nodes", 0, "users", 1, "name")) is not None
    assert shape.at(("nodes", 0, "nothing")) is None
    assert shape.at(("metadata", "name", "deeper")) is None
