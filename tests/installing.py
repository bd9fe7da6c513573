"""Nodes of every kind, as an installer sees them: cards, bonds, disks, accounts; and what is rendered for them."""

from collections.abc import Mapping
from typing import Any

from generator.bundle import renew_bundle
from generator.mirror import load_mirrors
from generator.plan.install import Install, plan_install
from generator.plan.packages import plan_sources
from generator.plan.seed import Seed, plan_seed
from generator.profile import Profile, load_profiles
from generator.render.installer import render_installation
from generator.scripts import Script, load_scripts
from generator.spec.cluster import Cluster
from tests.example import NODES, example
from tests.fixed import NOW, fixed_random

PROFILES, MIRRORS, SCRIPTS = load_profiles(), load_mirrors(), load_scripts()
HASH = "$6$saltsalt$abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./abcdefghijklmnopqrstuv"
OPS = {"name": "ops", "sshKeys": ["ssh-ed25519 AAAA it's $(id) |x", "ssh-rsa AAAAB3"], "passwordHash": HASH}
GUEST = {"name": "guest", "sudo": False}
MAC, SECOND, THIRD = "52:54:00:00:00:11", "52:54:00:00:01:11", "52:54:00:00:02:11"
STATIC = {"gateway": "192.168.77.1", "nameservers": ["192.168.77.1", "fd00:77::1"], "searchDomains": ["example.org"]}
KINDS: Mapping[str, dict[str, Any]] = {
    "plain": {"network": STATIC, "mac": MAC},
    "dhcp": {"network": {"dhcp": True}, "mac": MAC},
    "no mac": {"network": STATIC},
    "bond": {"network": {**STATIC, "bond": {"mode": "802.3ad"}, "vlan": 77, "mtu": 9000}, "macs": [MAC, SECOND]},
    "cards": {
        "network": {**STATIC, "addresses": ["fd00:77::11/64"],
                    "routes": [{"to": "10.0.0.0/8", "via": "192.168.77.254"}],
                    "cards": [{"mac": THIRD, "addresses": ["10.20.0.11/24"], "vlan": 20}]},
        "mac": MAC,
    },
    "users": {"users": [OPS, GUEST], "mac": MAC},
    "dotted": {"name": "m1.example.org", "mac": MAC, "users": [OPS]},
    "kernel": {"upgradeKernel": True, "mac": MAC},
    "data disks": {"disk": {"device": "/dev/sda", "etcd": "/dev/sdb", "containers": "/dev/sdc"}, "mac": MAC},
    "lvm": {"disk": {"layout": "lvm"}, "mac": MAC},
    "raid1": {"disk": {"layout": "raid1", "device": "/dev/sda", "mirror": "/dev/sdb"}, "mac": MAC},
}  # fmt: skip


def cluster_of(kind: str, os: str, **sections: Any) -> Cluster:
    nodes = [{**NODES[0], **KINDS[kind], "os": os}, *NODES[1:]]
    return example(nodes=nodes, **sections)


def planned(cluster: Cluster, profile: Profile) -> tuple[Seed, Install, tuple[Script, ...]]:
    node = cluster.nodes[0]
    names = [str(other.name) for other in cluster.nodes]
    bundle = renew_bundle(None, "prod", names, now=NOW, random=fixed_random())
    seed = plan_seed(cluster, node, profile, bundle, "0" * 64)
    sources = plan_sources(cluster, profile, MIRRORS[cluster.packages.preset])
    scripts = SCRIPTS.seed + (SCRIPTS.kernel if node.upgrade_kernel else ())
    return seed, plan_install(cluster, node, profile, sources), scripts


def rendered(kind: str, os: str, **sections: Any) -> str:
    profile = PROFILES[os]
    seed, install, scripts = planned(cluster_of(kind, os, **sections), profile)
    return render_installation(seed, install, scripts)[1].decode()
