"""Knows section `network`: the networks of pods and services and the plugin that joins them."""

from enum import StrEnum

from pydantic import Field

from generator import value
from generator.spec.field import Count, Flag, ImageName, Integer, Network, Section


class Plugin(StrEnum):
    """The network plugin (CNI)."""

    FLANNEL = "flannel"
    CALICO = "calico"
    NONE = "none"


class CalicoBackend(StrEnum):
    """How calico carries packets between nodes."""

    BIRD = "bird"
    VXLAN = "vxlan"
    NONE = "none"


class FelixLogLevel(StrEnum):
    """Felix' logSeverityScreen."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    FATAL = "fatal"


class FlannelBackend(StrEnum):
    """How flannel carries packets between nodes."""

    VXLAN = "vxlan"
    HOST_GW = "host-gw"


class Calico(Section):
    """Settings of calico."""

    backend: CalicoBackend = Field(CalicoBackend.BIRD, description="How packets travel between nodes.")
    veth_mtu: Count = Field(0, alias="vethMTU", description="MTU of pods in bytes; 0 lets calico find it.")
    felix_log_level: FelixLogLevel = Field(FelixLogLevel.WARNING, description="What calico's agent logs.")


class Flannel(Section):
    """Settings of flannel."""

    backend: FlannelBackend = Field(
        FlannelBackend.VXLAN,
        description="How packets travel between nodes; host-gw needs all nodes in one layer 2 network.",
    )
    nftables: Flag = Field(False, description="Let flannel use nftables instead of iptables.")
    image: ImageName = Field("docker.io/flannel/flannel:v0.25.7", description="Image of the flannel daemon.")
    cni_image: ImageName = Field(
        "docker.io/flannel/flannel-cni-plugin:v1.5.1-flannel2",
        description="Image that puts flannel's CNI plugin on the node.",
    )


class ClusterNetwork(Section):
    """The networks of pods and services and the plugin that joins them."""

    pod_subnet: Network = Field(value.parse_network("10.244.0.0/18"), description="Addresses of pods.")
    service_subnet: Network = Field(value.parse_network("10.244.64.0/18"), description="Addresses of services.")
    node_prefix: Integer = Field(
        24,
        ge=1,
        le=128,
        description="Prefix length of each node's share of podSubnet (kube-controller-manager's node-cidr-mask-size).",
    )
    plugin: Plugin = Field(Plugin.FLANNEL, description="The network plugin; with none you install one yourself.")
    calico: Calico = Field(Calico(), description="Settings of calico.")
    flannel: Flannel = Field(Flannel(), description="Settings of flannel.")
