"""The manifests that the first master applies: as little right as works, and flannel as upstream has it."""

import json
from typing import Any

import pytest
import yaml

from generator.plan.etcd import plan_members
from generator.plan.kubernetes import kubernetes_facts
from generator.render.audit import audit_policy, render_audit_policy
from generator.render.cni import render_cni
from generator.render.etcd import render_etcd
from generator.render.labels import render_labels
from generator.render.rbac import render_rbac
from generator.spec.cluster import Cluster
from tests.example import NODES, example, text


def objects(said: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(said))


def rules(kind: str, name: str) -> list[dict[str, Any]]:
    found = [one for one in objects(text(render_rbac())) if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1
    return list(found[0]["rules"])


def test_the_coordinator_may_do_four_things() -> None:
    allowed = {
        (resource, verb)
        for kind in ("ClusterRole", "Role")
        for rule in rules(kind, "kubeseed:coordinator")
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert allowed == {
        ("secrets", "create"),
        ("secrets", "delete"),
        ("certificatesigningrequests", "list"),
        ("certificatesigningrequests/approval", "update"),
        ("signers", "approve"),
    }
    (signers,) = (rule for rule in rules("ClusterRole", "kubeseed:coordinator") if rule["resources"] == ["signers"])
    assert signers["resourceNames"] == ["kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"]


def test_secrets_are_within_reach_in_one_namespace_only() -> None:
    reaching = [one for one in objects(text(render_rbac())) if "secrets" in json.dumps(one)]
    assert [(one["kind"], one["metadata"]["namespace"]) for one in reaching] == [("Role", "kube-system")]


def test_no_token_becomes_any_node() -> None:
    said = text(render_rbac())
    assert "node-autoapprove-bootstrap" not in said
    assert "certificatesigningrequests:nodeclient" not in said
    assert "certificatesigningrequests:selfnodeclient" in said


def test_every_binding_names_a_role_that_is_there_or_kubernetes_own() -> None:
    ours = objects(text(render_rbac()))
    made = {(one["kind"], one["metadata"]["name"]) for one in ours if "rules" in one}
    for one in ours:
        if "roleRef" in one:
            role = (one["roleRef"]["kind"], one["roleRef"]["name"])
            assert role in made or role[1].startswith("system:")


def flannel(cluster: Cluster) -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for artefact in render_cni(cluster) for one in objects(text(artefact))}


def test_flannel_carries_the_clusters_network() -> None:
    made = flannel(example(network={"podSubnet": "10.4.0.0/16", "flannel": {"backend": "host-gw"}}))
    assert list(made) == ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "DaemonSet"]
    assert json.loads(made["ConfigMap"]["data"]["net-conf.json"]) == {
        "Network": "10.4.0.0/16",
        "EnableNFTables": False,
        "Backend": {"Type": "host-gw"},
    }
    pod = made["DaemonSet"]["spec"]["template"]["spec"]
    assert pod["tolerations"] == [{"operator": "Exists", "effect": "NoSchedule"}]
    mounted = {mount["name"] for one in (*pod["containers"], *pod["initContainers"]) for mount in one["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_flannel_with_ipv6() -> None:
    made = flannel(example(network={"podSubnet": "fd00:10::/56", "serviceSubnet": "fd00:20::/112", "nodePrefix": 64}))
    assert json.loads(made["ConfigMap"]["data"]["net-conf.json"]) == {
        "EnableIPv4": False,
        "EnableIPv6": True,
        "IPv6Network": "fd00:10::/56",
        "EnableNFTables": False,
        "Backend": {"Type": "vxlan"},
    }


def test_without_a_plugin_there_is_no_manifest() -> None:
    assert render_cni(example(network={"plugin": "none"})) == ()


def test_etcd_knows_all_members_and_wants_certificates() -> None:
    cluster = example()
    members = plan_members(cluster)
    tree = yaml.safe_load(text(render_etcd(members[1], members, "/data/etcd")))
    assert tree["name"] == "etcd-m2"
    assert tree["initial-cluster"] == ",".join(f"etcd-m{n}=https://192.168.77.1{n}:2380" for n in (1, 2, 3))
    assert tree["listen-client-urls"] == "https://127.0.0.1:2379,https://192.168.77.12:2379"
    assert tree["quota-backend-bytes"] == 8589934592
    for section, kind in (("client-transport-security", "server"), ("peer-transport-security", "peer")):
        assert tree[section] == {
            "cert-file": f"/etc/kubernetes/pki/etcd/{kind}.crt",
            "key-file": f"/etc/kubernetes/pki/etcd/{kind}.key",
            "client-cert-auth": True,
            "trusted-ca-file": "/etc/kubernetes/pki/etcd/ca.crt",
        }
    listening = [url for key, urls in tree.items() if key.startswith("listen-") for url in urls.split(",")]
    assert [url for url in listening if not url.startswith("https://")] == ["http://127.0.0.1:2381"]


@pytest.mark.parametrize(
    ("version", "images", "image"),
    [
        ("1.20.2", {}, "registry.k8s.io/etcd:3.5.15-0"),
        ("1.30.5", {}, "registry.k8s.io/etcd:3.5.24-0"),
        ("1.34.0", {}, "registry.k8s.io/etcd:3.6.9-0"),
        ("1.34.0", {"etcd": "3.6.4-0"}, "registry.k8s.io/etcd:3.6.4-0"),
    ],
)
def test_an_external_member_knows_where_its_programs_come_from(
    version: str, images: dict[str, str], image: str
) -> None:
    cluster = example(kubernetes={"version": version, "images": images})
    assert [kubernetes_facts(cluster, node)["ETCD_IMAGE"] for node in cluster.nodes] == [image, image, image, ""]
    stacked = example(etcd={"topology": "stacked"})
    assert {kubernetes_facts(stacked, node)["ETCD_IMAGE"] for node in stacked.nodes} == {""}


def test_the_audit_policy_never_logs_what_a_secret_holds() -> None:
    policy = yaml.safe_load(text(render_audit_policy()))
    assert policy == json.loads(json.dumps(audit_policy()))
    deciding = next(rule for rule in policy["rules"] if _covers_secrets(rule))
    assert deciding["level"] == "Metadata"
    assert render_audit_policy("own: policy\n").data == b"own: policy\n"


def _covers_secrets(rule: dict[str, Any]) -> bool:
    """Whether a rule for any user and verb matches requests for Secrets."""
    groups = [group for group in rule.get("resources", []) if group["group"] == ""]
    return "verbs" not in rule and any("secrets" in group.get("resources", ["secrets"]) for group in groups)


def test_the_labels_of_roles() -> None:
    nodes = [*NODES, {"name": "e1", "roles": ["etcd"], "address": "192.168.77.31"}]
    nodes[3] = {**nodes[3], "roles": ["worker", "lb"]}
    lines = text(render_labels(example(nodes=nodes))).splitlines()
    role = "node-role.kubernetes.io"
    assert lines[0] == f"m1 {role}/control-plane= {role}/master= {role}/etcd="
    assert lines[3] == f"w1 {role}/worker= {role}/lb="
    assert len(lines) == 4
