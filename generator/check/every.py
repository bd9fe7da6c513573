"""Knows the list of all rules."""

from collections.abc import Callable, Iterator, Mapping

from generator.check import (
    address,
    balancer,
    disk,
    host,
    identity,
    label,
    link,
    packages,
    platform,
    pxe,
    release,
    role,
    stage,
    subnet,
    unsupported,
)
from generator.check.finding import Finding, Rule
from generator.profile import Profile
from generator.spec.cluster import Cluster

RULES: tuple[Rule, ...] = (
    unsupported.check_unsupported,
    identity.check_names,
    identity.check_addresses,
    identity.check_macs,
    identity.check_product_uuids,
    identity.check_serials,
    identity.check_coordinator,
    role.check_masters,
    role.check_workers,
    role.check_etcd,
    role.check_stacked_etcd,
    role.check_repeated_roles,
    role.check_balancer_roles,
    balancer.check_vip,
    balancer.check_external,
    balancer.check_stray_addresses,
    balancer.check_api_port,
    balancer.check_ports,
    balancer.check_node_ports,
    balancer.check_router_password,
    subnet.check_families,
    subnet.check_overlaps,
    subnet.check_reached,
    subnet.check_service_size,
    subnet.check_node_prefix,
    subnet.check_max_pods,
    address.check_node_addresses,
    address.check_prefixes,
    address.check_gateways,
    address.check_isolated,
    host.check_users,
    host.check_open_ports,
    disk.check_mirror,
    disk.check_disks_apart,
    link.check_bonds,
    link.check_tagged,
    link.check_cards,
    link.check_routers,
    link.check_mtu,
    release.check_version,
    platform.check_engine_version,
    release.check_proxy_mode,
    release.check_validity,
    release.check_admission,
    release.check_volumes,
    release.check_eviction,
    release.check_image_collection,
    label.check_labels,
    label.check_taints,
    stage.check_skipped_stages,
    packages.check_keys,
    packages.check_release,
    pxe.check_boot_url,
    pxe.check_machines,
    pxe.check_range,
    pxe.check_live,
    pxe.check_trust,
)
PROFILE_RULES: tuple[Callable[[Cluster, Mapping[str, Profile]], Iterator[Finding]], ...] = (
    host.check_profiles,
    host.check_arches,
    host.check_proxy_feature,
    link.check_card_known,
    platform.check_control_groups,
    platform.check_kernel,
    platform.check_containerd,
)


def check_cluster(cluster: Cluster, profiles: Mapping[str, Profile]) -> tuple[Finding, ...]:
    """Every rule the cluster breaks."""
    findings = [finding for rule in RULES for finding in rule(cluster)]
    findings += [finding for rule in PROFILE_RULES for finding in rule(cluster, profiles)]
    return tuple(findings)
