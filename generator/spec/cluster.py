"""Knows the whole spec: its sections, and who is who among the nodes."""

from functools import cached_property
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from generator.spec.addons import Addons
from generator.spec.bootstrap import Bootstrap
from generator.spec.coordinator import Coordinator
from generator.spec.engine import Engine
from generator.spec.etcd import Etcd, EtcdTopology
from generator.spec.field import LabelName, Section
from generator.spec.host import HostSettings
from generator.spec.kubernetes import Kubernetes
from generator.spec.load_balancer import LoadBalancer
from generator.spec.network import ClusterNetwork
from generator.spec.node import Node, Role
from generator.spec.packages import Packages
from generator.spec.pxe import Pxe


class Metadata(Section):
    """What the cluster is called."""

    name: LabelName = Field(
        description="The cluster's name: lower-case letters, digits and '-'.",
    )


class Cluster(Section):
    """A whole cluster. Nodes keep the order of the spec; the first master runs `kubeadm init`."""

    api_version: Literal["kubeseed/v1"] = Field("kubeseed/v1", description="Version of this format.")
    kind: Literal["Cluster"] = Field("Cluster", description="Always Cluster.")
    metadata: Metadata = Field(description="What the cluster is called.")
    coordinator: Coordinator = Field(description="Where nodes find the coordinator.")
    bootstrap: Bootstrap = Field(Bootstrap(), description="How a machine turns itself into a node at first boot.")
    kubernetes: Kubernetes = Field(Kubernetes(), description="What kubeadm and the control plane are told.")
    network: ClusterNetwork = Field(ClusterNetwork(), description="The networks of pods and services.")
    load_balancer: LoadBalancer = Field(LoadBalancer(), description="How nodes reach the API servers.")
    etcd: Etcd = Field(Etcd(), description="Where the cluster's state lives.")
    engine: Engine = Field(Engine(), description="The container engine.")
    packages: Packages = Field(Packages(), description="Where nodes install software from.")
    addons: Addons = Field(Addons(), description="What the first master installs into the finished cluster.")
    pxe: Pxe | None = Field(None, description="Booting machines over the network.")
    defaults: HostSettings = Field(HostSettings(), description="Settings of every node; each node may override them.")
    nodes: tuple[Node, ...] = Field(min_length=1, description="The machines of the cluster.")

    @field_validator("nodes")
    @classmethod
    def _resolve_defaults(cls, nodes: tuple[Node, ...], info: ValidationInfo) -> tuple[Node, ...]:
        """Each node's host settings become effective here, once; `defaults` is missing when it is wrong itself."""
        defaults = info.data.get("defaults")
        return tuple(node.with_defaults(defaults) for node in nodes) if defaults else nodes

    def nodes_of(self, role: Role) -> tuple[Node, ...]:
        """The nodes of one role, in the order of the spec."""
        return tuple(node for node in self.nodes if role in node.roles)

    @cached_property
    def masters(self) -> tuple[Node, ...]:
        return self.nodes_of(Role.MASTER)

    @cached_property
    def workers(self) -> tuple[Node, ...]:
        return self.nodes_of(Role.WORKER)

    @property
    def first_master(self) -> Node:
        """The node that runs `kubeadm init`; a checked spec has one."""
        return self.masters[0]

    @cached_property
    def etcd_members(self) -> tuple[Node, ...]:
        """The nodes that hold etcd's data: role etcd when external, the masters when stacked."""
        return self.masters if self.etcd.topology is EtcdTopology.STACKED else self.nodes_of(Role.ETCD)

    def runs_etcd(self, node: Node) -> bool:
        """Whether the node is one of them. By its name: to compare whole nodes takes long with thousands of them."""
        return any(member.name == node.name for member in self.etcd_members)

    @cached_property
    def load_balancers(self) -> tuple[Node, ...]:
        """The nodes of role lb."""
        return self.nodes_of(Role.LB)
