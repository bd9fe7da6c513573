"""Knows whether the operating systems and the accounts of the nodes can be as the spec says."""

from collections.abc import Iterator, Mapping

from generator.check.finding import Finding, warning
from generator.nearest import choice_hint
from generator.profile import Feature, Profile
from generator.source import SpecPath
from generator.spec.cluster import Cluster
from generator.spec.host import HostSettings
from generator.spec.kubernetes import ProxyMode

Profiles = Mapping[str, Profile]
# Accounts that every release has; an installer would not make them again.
_SYSTEM = frozenset(
    {"root", "daemon", "bin", "sys", "sync", "mail", "nobody", "adm", "games", "lp", "sshd", "systemd-network"}
)


def _settings(cluster: Cluster) -> Iterator[tuple[SpecPath, HostSettings]]:
    """The settings of `defaults` and of every node, with their paths."""
    yield ("defaults",), cluster.defaults
    yield from ((("nodes", number), node) for number, node in enumerate(cluster.nodes))


def check_profiles(cluster: Cluster, profiles: Profiles) -> Iterator[Finding]:
    """Each operating system has a profile; one named in `defaults` is told once."""
    for path, settings in _settings(cluster):
        told = path != ("defaults",) and settings.os == cluster.defaults.os
        if settings.os not in profiles and not told:
            hint = choice_hint(settings.os, profiles)
            yield Finding((*path, "os"), f"there is no profile {settings.os!r}", hint)


def check_arches(cluster: Cluster, profiles: Profiles) -> Iterator[Finding]:
    """The operating system exists for the machine's architecture."""
    for number, node in enumerate(cluster.nodes):
        profile = profiles.get(node.os)
        if profile and node.arch not in profile.arches:
            hint = f"{profile.name} supports {', '.join(profile.arches)}"
            yield Finding(("nodes", number, "arch"), f"{node.os} does not run on {node.arch}", hint)


def check_proxy_feature(cluster: Cluster, profiles: Profiles) -> Iterator[Finding]:
    """kube-proxy's nftables mode needs Linux 5.13 and nft 1.0.1 on every node."""
    if cluster.kubernetes.proxy_mode is not ProxyMode.NFTABLES:
        return
    without = {
        node.os
        for node in cluster.nodes
        if (found := profiles.get(node.os)) and Feature.NFTABLES_PROXY not in found.features
    }
    for name in sorted(without):
        message = f"{name} is too old for proxyMode nftables"
        yield Finding(("kubernetes", "proxyMode"), message, "use iptables or ipvs, or a newer operating system")


def check_users(cluster: Cluster) -> Iterator[Finding]:
    """Accounts are made once, and somebody can use them; `defaults` are told once."""
    for path, settings in _settings(cluster):
        if path != ("defaults",) and settings.users == cluster.defaults.users:
            continue
        seen: set[str] = set()
        for number, user in enumerate(settings.users):
            place = (*path, "users", number)
            if user.name in seen:
                yield Finding((*place, "name"), f"the user {user.name} is there twice")
            if user.name in _SYSTEM:
                hint = "name an account of your own; with sudo it may become root"
                yield Finding((*place, "name"), f"{user.name} is the system's own account", hint)
            if not user.ssh_keys and user.password_hash is None:
                yield warning(place, f"{user.name} can never log in", "add sshKeys, or a passwordHash")
            seen.add(user.name)


def check_open_ports(cluster: Cluster) -> Iterator[Finding]:
    """Ports are opened in a managed firewall only."""
    for path, settings in _settings(cluster):
        told = path != ("defaults",) and settings.open_ports == cluster.defaults.open_ports
        if settings.open_ports and settings.firewall is None and not told:
            hint = "set firewall: managed, or remove openPorts"
            yield warning((*path, "openPorts"), "no firewall is managed that ports could be opened in", hint)
