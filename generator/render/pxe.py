"""Knows what below OUT/pxe lets machines boot over the network: world-readable, so nothing in it is secret."""

from collections.abc import Iterator, Mapping

from generator.plan.pxe import plan_boot_server, plan_node_boot
from generator.profile import Profile
from generator.render.artefact import Artefact
from generator.render.dnsmasq import render_dnsmasq
from generator.render.ipxe import render_decisions, render_entry, render_node
from generator.spec.cluster import Cluster
from generator.spec.pxe import Deployment, Pxe


def render_boot(cluster: Cluster, pxe: Pxe, profiles: Mapping[str, Profile]) -> Iterator[Artefact]:
    """dnsmasq's configuration, the script where every machine begins, and one script for each possible decision."""
    server = plan_boot_server(cluster, pxe)
    yield Artefact("pxe/dnsmasq.conf", render_dnsmasq(server))
    yield Artefact("pxe/boot.ipxe", render_entry(server))
    yield from render_decisions(server)
    for node in cluster.nodes:
        if node.pxe.deploy is not Deployment.NONE:
            boot = plan_node_boot(cluster, node, profiles[node.os].installer)
            yield Artefact(f"pxe/ipxe/{node.name}.ipxe", render_node(server, boot))
