"""Knows how boot decisions are written for iPXE; the coordinator picks one and puts `set` lines before it."""

from collections.abc import Iterator

from generator.plan.pxe import BootServer, NodeBoot
from generator.render.artefact import Artefact
from generator.render.text import ipxe, render
from generator.spec.pxe import Deployment

# What only the coordinator knows, each of letters, digits and '-' (http_server/service/boot.py).
_RUN = ("kubeseed.run=${kubeseed-run}",)
_IMAGE = (
    "kubeseed.image=${kubeseed-image}",
    "kubeseed.digest=${kubeseed-digest}",
    "kubeseed.size=${kubeseed-size}",
    "kubeseed.format=${kubeseed-format}",
    "kubeseed.wipe=${kubeseed-wipe}",
)
# Decisions that are the same for every node. No node has such a name.
DECISIONS = ("local", "refused", "unknown")


def render_entry(server: BootServer) -> bytes:
    """What dnsmasq points iPXE at."""
    return render("pxe/ipxe/boot.ipxe.j2", {"cluster": server.cluster, "boot_url": ipxe(server.boot_url)}).encode()


def render_decisions(server: BootServer) -> Iterator[Artefact]:
    """One script for each decision that is no installation."""
    for name in DECISIONS:
        text = render(f"pxe/ipxe/{name}.ipxe.j2", {"cluster": server.cluster})
        yield Artefact(f"pxe/ipxe/_{name}.ipxe", text.encode())


def render_node(server: BootServer, boot: NodeBoot) -> bytes:
    """What the machine of a node runs once the coordinator has decided that it is to be installed, or runs live."""
    known = _RUN if boot.deploy is Deployment.INSTALLER else _RUN + _IMAGE
    values = {
        "node": boot.node,
        "deploy": boot.deploy.value,
        "boot_url": ipxe(server.boot_url),
        "arguments": [*map(ipxe, boot.arguments), *known],
    }
    return render("pxe/ipxe/node.ipxe.j2", values).encode()
