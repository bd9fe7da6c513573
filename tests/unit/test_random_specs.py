"""Whatever valid spec is given: everything renders, every file parses back to the plan's values, installers agree."""

import json
import shlex
import tomllib
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_interface
from typing import Any

import yaml
from hypothesis import HealthCheck, event, given, reject, settings
from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion

from generator.bundle import renew_bundle
from generator.errors import SpecError
from generator.files import Inputs, render_files
from generator.parse import parse_cluster
from generator.plan.engine import pause_image
from generator.plan.load_balancer import endpoint
from generator.plan.network import Link, LinkKind, Network
from generator.plan.seed import Seed, plan_seed
from generator.profile import Installer, Profile
from generator.render.landing import CONF
from generator.spec.cluster import Cluster
from generator.spec.engine import EngineName
from generator.spec.node import Node
from generator.verify import late_script, read_node_conf
from http_server.inventory import parse_inventory
from tests.fixed import NOW, fixed_random
from tests.installed import Outcome, of_autoinstall, of_kickstart, of_preseed, of_user_data
from tests.installing import MIRRORS, PROFILES, SCRIPTS
from tests.random_specs import Tree, specs

Files = Mapping[str, bytes]


def load(spec: Tree) -> Inputs:
    try:
        cluster, _ = parse_cluster(json.dumps(spec), PROFILES)
    except SpecError as refusal:
        event(refusal.problems[0].message)
        reject()
    names = [node.name for node in cluster.nodes]
    bundle = renew_bundle(None, cluster.metadata.name, names, now=NOW, random=fixed_random())
    return Inputs(cluster, "0" * 64, PROFILES, MIRRORS, bundle, SCRIPTS)


# A busy machine is slow, and some systems are too old for some releases of Kubernetes.
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(specs())
def test_every_file_says_what_was_planned(spec: Tree) -> None:
    inputs = load(spec)
    cluster = inputs.cluster
    files = {artefact.path: artefact.data for artefact in render_files(inputs)}
    for node in cluster.nodes:
        profile = PROFILES[node.os]
        seed = plan_seed(cluster, node, profile, inputs.bundle, inputs.scripts.digest)
        check_seed(files, node, seed)
        check_network(yaml.load(files[f"nodes/{node.name}/network-config"], yaml.CSafeLoader), seed.network)
        check_installer(files, node, seed, profile)
    check_cluster_files(files, cluster)
    check_coordinator(files, cluster)
    check_boot(files, cluster)


def check_seed(files: Files, node: Node, seed: Seed) -> None:
    tree = yaml.load(files[f"nodes/{node.name}/user-data"], yaml.CSafeLoader)
    assert tree["hostname"] == node.name
    assert read_node_conf(landed(of_user_data_tree(tree))[CONF]) == dict(seed.conf)
    accounts = [user for user in tree["users"] if user]
    assert [(user["name"], tuple(user.get("ssh_authorized_keys", ()))) for user in accounts] == [
        (user.name, user.ssh_keys) for user in node.users
    ]
    assert [bool(user.get("groups")) for user in accounts] == [user.sudo for user in node.users]
    assert [entry["device"] for entry in tree.get("fs_setup", [])] == [disk.device for disk in seed.disks]
    meta = yaml.load(files[f"nodes/{node.name}/meta-data"], yaml.CSafeLoader)
    assert meta == {"instance-id": seed.instance_id, "local-hostname": node.name}


def of_user_data_tree(tree: Any) -> Outcome:
    return of_user_data(json.dumps(tree))


def landed(outcome: Outcome) -> dict[str, str]:
    return {path: text for path, (_, text) in outcome.files.items()}


def check_network(tree: Any, network: Network) -> None:
    """Every link of the plan with its addresses, its way out, its VLAN, members and size; and none besides."""
    told = {1: links_of_version_1, 2: links_of_version_2}[tree["version"]](tree)
    assert sorted(told, key=str) == sorted(map(planned_link, network.links), key=str)


Told = tuple[str, str, int, int, tuple[str, ...], str]


def planned_link(link: Link) -> Told:
    """Kind, MAC address or VLAN or number of members, size, DHCP, addresses, gateway: what both versions can say."""
    marks = {LinkKind.CARD: link.mac, LinkKind.VLAN: str(link.vlan), LinkKind.BOND: str(len(link.members))}
    return link.kind.value, marks[link.kind], link.mtu, link.dhcp, link.addresses, link.gateway


def links_of_version_2(tree: Any) -> list[Told]:
    found = []
    marks: Mapping[str, Callable[[Any], str]] = {
        "ethernets": lambda link: str(link["match"]["macaddress"]),
        "bonds": lambda link: str(len(link["interfaces"])),
        "vlans": lambda link: str(link["id"]),
    }
    for kind, mark in marks.items():
        for link in tree.get(kind, {}).values():
            dhcp = next((version for version in (4, 6) if link.get(f"dhcp{version}")), 0)
            default = [route["via"] for route in link.get("routes", []) if route["to"].endswith("/0")]
            addresses, name = tuple(link.get("addresses", ())), {"ethernets": "card"}.get(kind, kind[:-1])
            found.append((name, mark(link), link.get("mtu", 0), dhcp, addresses, (default or [""])[0]))
    return found


def links_of_version_1(tree: Any) -> list[Told]:
    found = []
    for link in tree["config"]:
        if link["type"] == "nameserver":
            continue
        mark = str(link.get("mac_address") or link.get("vlan_id") or len(link.get("bond_interfaces", ())))
        subnets = link.get("subnets", [])
        dhcp = next((int(subnet["type"][-1]) for subnet in subnets if subnet["type"].startswith("dhcp")), 0)
        addresses = tuple(subnet["address"] for subnet in subnets if "address" in subnet)
        gateway = next((subnet["gateway"] for subnet in subnets if "gateway" in subnet), "")
        kind = {"physical": "card"}.get(link["type"], link["type"])
        found.append((kind, mark, link.get("mtu", 0), dhcp, addresses, gateway))
    return found


def check_installer(files: Files, node: Node, seed: Seed, profile: Profile) -> None:
    name, read = {
        Installer.KICKSTART: ("kickstart.cfg", of_kickstart),
        Installer.PRESEED: ("preseed.cfg", of_preseed),
        Installer.AUTOINSTALL: ("autoinstall.yaml", of_autoinstall),
    }[profile.installer]
    text = files[f"nodes/{node.name}/{name}"].decode()
    outcome = read(text)
    expected = of_user_data(files[f"nodes/{node.name}/user-data"].decode())
    assert outcome.landed == expected.landed
    assert {who: (account.group, account.keys) for who, account in outcome.accounts.items()} == {
        who: (account.group, account.keys) for who, account in expected.accounts.items()
    }
    {"kickstart.cfg": check_kickstart, "preseed.cfg": check_preseed, "autoinstall.yaml": check_autoinstall}[name](
        text, node, seed, profile
    )


def check_kickstart(text: str, node: Node, seed: Seed, profile: Profile) -> None:
    """As pykickstart, which Anaconda is built on, reads it."""
    assert profile.kickstart
    handler = makeVersion(profile.kickstart.syntax)
    head = text.partition("\n%packages")[0].replace("%include /tmp/kubeseed-disk.ks", "")
    KickstartParser(handler).readKickstartFromString(head)
    assert handler.timezone.timezone == node.timezone
    users = [(user.name, user.password, user.isCrypted) for user in handler.user.userList]
    assert users == [
        (login.name, login.password_hash.reveal() if login.password_hash else "", bool(login.password_hash))
        for login in seed.logins
    ]
    hostname, card = handler.network.network
    main = seed.network.main_link
    assert (hostname.hostname, card.device) == (node.name, node.all_macs[0])
    if not main.dhcp:
        assert (card.ip, card.netmask) == (str(node.address), str(ip_interface(main.addresses[0]).netmask))
        assert card.gateway == (main.gateway or "")


def check_preseed(text: str, node: Node, seed: Seed, profile: Profile) -> None:
    """As debconf-set-selections reads it: owner, question, type, and all the rest of the line."""
    answers = {}
    for line in text.splitlines():
        if line.startswith("d-i "):
            _, question, _, *value = line.split(" ", 3)
            answers[question] = value[0] if value else ""
    assert answers["netcfg/hostname"] == node.name.partition(".")[0]
    assert answers["time/zone"] == node.timezone
    assert answers["mirror/suite"] == profile.codename
    main = seed.network.main_link
    assert answers.get("netcfg/get_ipaddress", "") == ("" if main.dhcp else str(node.address))
    assert late_script(text).startswith("set -eu\n")


def check_autoinstall(text: str, node: Node, seed: Seed, profile: Profile) -> None:
    tree = yaml.load(text, yaml.CSafeLoader)["autoinstall"]
    assert (tree["version"], tree["timezone"]) == (1, node.timezone)
    check_network(tree["network"], seed.network)


def documents(data: bytes) -> dict[str, Any]:
    return {tree["kind"]: tree for tree in yaml.load_all(data, yaml.CSafeLoader)}


def arguments(section: Any) -> dict[str, str]:
    """extraArgs as kubeadm v1beta3 and v1beta4 write them."""
    given = section.get("extraArgs", {})
    return given if isinstance(given, dict) else {one["name"]: one["value"] for one in given}


def check_cluster_files(files: Files, cluster: Cluster) -> None:
    init = documents(files["coordinator/files/first-master/kubeadm-init.yaml"])
    configuration = init["ClusterConfiguration"]
    assert configuration["kubernetesVersion"] == f"v{cluster.kubernetes.version}"
    assert configuration["controlPlaneEndpoint"] == endpoint(cluster)
    assert configuration["networking"]["podSubnet"] == str(cluster.network.pod_subnet)
    own = cluster.kubernetes.api_server.extra_args
    assert arguments(configuration["apiServer"]).items() >= own.items()
    hosts = [line.split() for line in one(files, "/hosts").splitlines()[: len(cluster.nodes)]]
    assert [(line[0], line[1]) for line in hosts] == [(str(node.address), node.name) for node in cluster.nodes]
    if cluster.engine.name is EngineName.CONTAINERD:
        tree = tomllib.loads(one(files, "/containerd.toml"))
        assert tree["plugins"]["io.containerd.grpc.v1.cri"]["sandbox_image"] == pause_image(cluster)
        assert tree["oom_score"] == cluster.engine.containerd.oom_score
    else:
        assert json.loads(one(files, "/docker.json"))["bip"] == cluster.engine.docker.bip


def one(files: Files, ending: str) -> str:
    """The first file of that name; those of several releases say the same."""
    return next(data.decode() for path, data in files.items() if path.endswith(ending))


def check_coordinator(files: Files, cluster: Cluster) -> None:
    inventory = parse_inventory(files["coordinator/inventory.json"])
    assert list(inventory.nodes) == sorted(node.name for node in cluster.nodes)
    for node in cluster.nodes:
        told = inventory.nodes[node.name]
        assert (told.address, tuple(told.macs), told.serial) == (str(node.address), node.all_macs, node.serial or "")
        assert sorted(told.roles) == sorted({role.value for role in node.roles})


def check_boot(files: Files, cluster: Cluster) -> None:
    if not cluster.pxe:
        assert "pxe/dnsmasq.conf" not in files
        return
    lines = files["pxe/dnsmasq.conf"].decode().splitlines()
    hosts = [line.removeprefix("dhcp-host=").split(",") for line in lines if line.startswith("dhcp-host=")]
    address = [str(node.address) for node in cluster.nodes] if cluster.pxe.mode == "dhcp" else None
    assert [host[-1] for host in hosts] == [node.name for node in cluster.nodes]
    assert [host[-2] for host in hosts] == (address or [node.all_macs[-1] for node in cluster.nodes])
    for node in cluster.nodes:
        script = files[f"pxe/ipxe/{node.name}.ipxe"].decode()
        assert f"kubeseed.node={node.name}" in words_of(script.splitlines(), "kernel")


def words_of(lines: Iterable[str], command: str) -> list[str]:
    return next(shlex.split(line) for line in lines if line.startswith(f"{command} "))
