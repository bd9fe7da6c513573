"""Knows nftables' format (nft(8)), without words that the oldest nft of the matrix, 0.5, lacks."""

from collections.abc import Iterator

from generator.plan.firewall import FirewallPlan, Opening, Who
from generator.render.artefact import Artefact
from generator.render.text import render

# Protocols without ports by their number in /etc/protocols, which minimal systems do not have.
_NUMBERS = {"vrrp": "112", "ipencap": "4"}


def render_firewall(plan: FirewallPlan) -> Artefact:
    """`firewall.nft`: one table of ours, replaced in one transaction; no other table is touched."""
    cluster = tuple(_by_family(plan))
    families = [family for family, _ in cluster]
    rules = [rule for opening in plan.openings for rule in _rules(opening, families)]
    return Artefact("firewall.nft", render("firewall/firewall.nft.j2", {"cluster": cluster, "rules": rules}).encode())


def _by_family(plan: FirewallPlan) -> Iterator[tuple[str, tuple[str, ...]]]:
    for version in (4, 6):
        if networks := tuple(str(network) for network in plan.networks if network.version == version):
            yield str(version), networks


def _rules(opening: Opening, families: list[str]) -> Iterator[str]:
    port = f"{opening.protocol} dport {opening.port}" if opening.port else _protocol(opening)
    if opening.who is Who.ANYBODY:
        yield f'{port} accept comment "{opening.why}"'
        return
    for family in families:
        yield f'{"ip" if family == "4" else "ip6"} saddr @cluster{family} {port} accept comment "{opening.why}"'


def _protocol(opening: Opening) -> str:
    return f"meta l4proto {_NUMBERS[opening.protocol]}"
