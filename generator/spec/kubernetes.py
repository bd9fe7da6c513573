"""Knows section `kubernetes`: what kubeadm, the control plane and the kubelets are told."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from generator import value
from generator.spec.field import (
    EMPTY,
    AbsolutePath,
    Arguments,
    Count,
    DnsName,
    Duration,
    Flag,
    Host,
    ImageName,
    ImageTag,
    Integer,
    KubeVersion,
    LabelName,
    Line,
    MapOf,
    PortRange,
    Quantity,
    Section,
    matching,
)
from generator.spec.frozenmap import FrozenMap

EVICTION_HARD: Mapping[str, str] = FrozenMap({
    "imagefs.available": "15%", "memory.available": "100Mi", "nodefs.available": "10%", "nodefs.inodesFree": "5%",
})  # fmt: skip


PluginName = Annotated[str, matching(r"[A-Z][A-Za-z]+", "an admission plugin", "NodeRestriction")]
Threshold = Annotated[str, matching(r"[0-9]+(\.[0-9]+)?(%|[kMGT]i?)?", "a threshold", "10% or 100Mi")]


class ProxyMode(StrEnum):
    """kube-proxy's `mode`."""

    IPTABLES = "iptables"
    IPVS = "ipvs"
    NFTABLES = "nftables"


class EncryptionAlgorithm(StrEnum):
    """Providers of apiserver.config.k8s.io/v1 EncryptionConfiguration."""

    AESCBC = "aescbc"
    SECRETBOX = "secretbox"
    AESGCM = "aesgcm"


class PathType(StrEnum):
    """core/v1 HostPathType."""

    UNSET = ""
    DIRECTORY = "Directory"
    DIRECTORY_OR_CREATE = "DirectoryOrCreate"
    FILE = "File"
    FILE_OR_CREATE = "FileOrCreate"
    SOCKET = "Socket"
    CHAR_DEVICE = "CharDevice"
    BLOCK_DEVICE = "BlockDevice"


class HostPathMount(Section):
    """kubeadm's HostPathMount: a file or folder of the node inside a control plane pod."""

    name: LabelName = Field(description="Name of the volume in the pod.")
    host_path: AbsolutePath = Field(description="Path on the node.")
    mount_path: AbsolutePath = Field(description="Path in the pod.")
    read_only: Flag = Field(False, description="Mount it read-only.")
    path_type: PathType = Field(PathType.UNSET, description="What must be at hostPath (core/v1 HostPathType).")


class ControlPlaneComponent(Section):
    """What kubeadm allows to add to every control plane component."""

    extra_args: Arguments = Field(EMPTY, description="Command-line flags without the leading dashes.")
    extra_volumes: tuple[HostPathMount, ...] = Field((), description="Folders and files of the node to mount.")


class ApiServer(ControlPlaneComponent):
    """The API server."""


class Scheduler(ControlPlaneComponent):
    """The scheduler."""


class ControllerManager(ControlPlaneComponent):
    """The controller manager."""

    node_monitor_grace_period: Duration = Field(
        value.Duration("40s"), description="How long a node may be silent before it is marked unhealthy."
    )
    node_monitor_period: Duration = Field(value.Duration("5s"), description="How often node status is looked at.")
    terminated_pod_gc_threshold: Count = Field(
        10,
        alias="terminatedPodGCThreshold",
        description="Number of finished pods that are kept before the oldest are deleted.",
    )


class KubeReserved(Section):
    """kubelet's kubeReserved."""

    cpu: Quantity = Field(value.Quantity("100m"), description="CPU kept for the kubelet and the engine.")
    memory: Quantity = Field(value.Quantity("256M"), description="Memory kept for the kubelet and the engine.")


class SystemReserved(Section):
    """kubelet's systemReserved."""

    enabled: Flag = Field(False, description="Keep resources for the operating system.")
    cpu: Quantity = Field(value.Quantity("500m"), description="CPU kept for the operating system.")
    memory: Quantity = Field(value.Quantity("512M"), description="Memory kept for the operating system.")
    ephemeral_storage: Quantity = Field(value.Quantity("10G"), description="Disk kept for the operating system.")


class Reserved(Section):
    """Resources that pods may not use."""

    kube: KubeReserved = Field(KubeReserved(), description="For the kubelet and the engine.")
    system: SystemReserved = Field(SystemReserved(), description="For the operating system.")


class Kubelet(Section):
    """The kubelets, on every node alike."""

    root_dir: AbsolutePath = Field("/var/lib/kubelet", description="The kubelet's state (--root-dir).")
    reserved: Reserved = Field(Reserved(), description="Resources that pods may not use.")
    protect_kernel_defaults: Flag = Field(
        True, description="The kubelet refuses to run where kernel settings differ from what it needs."
    )
    eviction_hard: MapOf[str, Threshold] = Field(
        EVICTION_HARD,
        description="Signals and thresholds at which the kubelet evicts pods (KubeletConfiguration.evictionHard).",
    )
    image_gc_high: Integer = Field(
        85,
        ge=1,
        le=100,
        alias="imageGCHighThresholdPercent",
        description="Disk usage from which unused images are deleted; 100 never. What was imported is not had again.",
    )
    image_gc_low: Integer = Field(
        80, ge=0, le=99, alias="imageGCLowThresholdPercent", description="Disk usage at which that ends."
    )


class CertificateValidity(Section):
    """How long certificates are valid."""

    ca: Duration = Field(value.Duration("36500d"), description="Of the cluster's certificate authorities.")
    leaf: Duration = Field(value.Duration("3650d"), description="Of every certificate they sign.")


class SecretsEncryption(Section):
    """Encryption of Secrets in etcd. The key is generated and never in the spec."""

    algorithm: EncryptionAlgorithm = Field(EncryptionAlgorithm.AESCBC, description="The encryption provider.")


class Audit(Section):
    """The API server's audit log on every master."""

    enabled: Flag = Field(False, description="Write an audit log.")
    directory: AbsolutePath = Field("/var/log/kubernetes/audit", description="Folder of the log files on the master.")
    max_age: Count = Field(30, description="Days an old log file is kept.")
    max_backups: Count = Field(10, description="Number of old log files kept.")
    max_size: Count = Field(100, description="Size in MB at which a log file is rotated.")
    policy_file: Line | None = Field(
        None, description="An audit.k8s.io/v1 Policy to use, relative to the spec; null is kubeseed's own policy."
    )


class AdmissionPlugins(Section):
    """Admission plugins besides those that Kubernetes enables by itself."""

    enable: tuple[PluginName, ...] = Field(("NodeRestriction",), description="Plugins to enable.")
    disable: tuple[PluginName, ...] = Field((), description="Plugins to disable.")


class Images(Section):
    """Tags of images, where kubeadm's own choice for the version is not wanted."""

    pause: ImageTag | None = Field(None, description="Tag of the pause image; null is kubeadm's choice.")
    etcd: ImageTag | None = Field(None, description="Tag of the etcd image; null is kubeadm's choice.")
    coredns: ImageTag | None = Field(None, description="Tag of the CoreDNS image; null is kubeadm's choice.")


class Kubernetes(Section):
    """What kubeadm, the control plane and the kubelets are told."""

    version: KubeVersion = Field(value.KubeVersion(1, 30, 5), description="The Kubernetes version to install.")
    image_repository: ImageName = Field("registry.k8s.io", description="Where Kubernetes' own images come from.")
    images: Images = Field(Images(), description="Tags of single images.")
    cluster_domain: DnsName = Field("cluster.local", description="DNS domain of services (kubeadm's dnsDomain).")
    proxy_mode: ProxyMode = Field(ProxyMode.IPTABLES, description="How kube-proxy forwards services.")
    max_pods: Integer = Field(110, ge=1, le=65535, description="Pods that one node may run.")
    node_port_range: PortRange = Field(value.PortRange(30000, 32767), description="Ports of NodePort services.")
    certificate_validity: CertificateValidity = Field(CertificateValidity(), description="How long certificates last.")
    cert_sans: tuple[Host, ...] = Field(
        (),
        alias="certSANs",
        description="Further names and addresses in the API server's certificate, for clients outside of the cluster.",
    )
    secrets_encryption: SecretsEncryption | None = Field(
        SecretsEncryption(), description="Encryption of Secrets in etcd; null switches it off."
    )
    audit: Audit = Field(Audit(), description="The API server's audit log.")
    admission_plugins: AdmissionPlugins = Field(AdmissionPlugins(), description="Admission plugins.")
    api_server: ApiServer = Field(ApiServer(), description="The API server.")
    controller_manager: ControllerManager = Field(ControllerManager(), description="The controller manager.")
    scheduler: Scheduler = Field(Scheduler(), description="The scheduler.")
    kubelet: Kubelet = Field(Kubelet(), description="The kubelets.")
