"""Knows the specs of the scenarios: how many of what, and what the lab's image wants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from tests.lab.kubernetes.compile import VERSION
from tests.lab.namespace import HOST

LEAF_DAYS, CA_DAYS = 400, 4000
VIP = "192.168.77.10"


@dataclass(frozen=True, slots=True)
class Shape:
    """A cluster: its nodes (masters are m1.., workers w1..), where etcd runs, what balances, what runs the machines."""

    name: str
    masters: int = 1
    workers: int = 0
    topology: str = "stacked"
    balancer: Mapping[str, Any] = field(default_factory=lambda: {"mode": "local", "engine": "haproxy"})
    join: str = "token"
    driver: str = "nspawn"

    @property
    def master_names(self) -> tuple[str, ...]:
        return tuple(f"m{number}" for number in range(1, self.masters + 1))

    @property
    def worker_names(self) -> tuple[str, ...]:
        return tuple(f"w{number}" for number in range(1, self.workers + 1))

    @property
    def names(self) -> tuple[str, ...]:
        return self.master_names + self.worker_names

    @property
    def grown(self) -> "Shape":
        """The same with one more worker."""
        return replace(self, workers=self.workers + 1)


def address(name: str) -> str:
    """m1 is .11, w1 is .21, in the lab's network."""
    return f"192.168.77.{(10 if name[0] == 'm' else 20) + int(name[1:])}"


def mac(name: str) -> str:
    return f"52:54:00:00:00:{address(name).rpartition('.')[2]:0>2}"


def spec(shape: Shape) -> str:
    """The cluster spec as a person would write it, in YAML."""
    return yaml.safe_dump({
        "apiVersion": "kubeseed/v1",
        "kind": "Cluster",
        "metadata": {"name": shape.name},
        "coordinator": {"url": f"https://{HOST}:8443"},
        "kubernetes": {
            "version": VERSION,
            "certificateValidity": {"ca": f"{CA_DAYS}d", "leaf": f"{LEAF_DAYS}d"},
            # The disk of a container node is this computer's: however full it is, no image is to be had again.
            "kubelet": {"imageGCHighThresholdPercent": 100, "evictionHard": {"memory.available": "100Mi"}},
        },
        # The lab's image brings its own CNI configuration: no pod network is to be had without a registry.
        "network": {"plugin": "none"},
        "etcd": {"topology": shape.topology},
        "loadBalancer": dict(shape.balancer),
        "bootstrap": {"join": shape.join},
        "engine": {"restrictOomScoreAdj": True},
        "addons": {"ingress": {"enabled": False}, "metricsServer": {"enabled": False}},
        "defaults": {
            "ntp": [],
            "checkResources": False,
            "checkUniqueIds": False,  # all containers show the host's product_uuid
            "users": [{"name": "ops"}],
            "network": {"gateway": HOST, "nameservers": [HOST], "prefix": 24},
        },
        "nodes": [_node(name, roles) for name, roles in _roles(shape)],
    })  # fmt: skip


def _roles(shape: Shape) -> Sequence[tuple[str, list[str]]]:
    master = ["master", "etcd"] if shape.topology == "external" else ["master"]
    if shape.balancer["mode"] == "vip":
        master = [*master, "lb"]
    return [(name, master) for name in shape.master_names] + [(name, ["worker"]) for name in shape.worker_names]


def _node(name: str, roles: list[str]) -> dict[str, Any]:
    return {"name": name, "roles": roles, "address": address(name), "mac": mac(name)}
