"""Knows the line formats below /etc that set up a machine: sysctl.d, modules-load.d, modprobe.d, hosts, chrony.conf."""

from collections.abc import Iterable, Iterator, Mapping

from generator.plan.tuning import LIMITS, MODULE_OPTIONS, plan_modules, plan_sysctls
from generator.profile import Profile
from generator.render.artefact import Artefact
from generator.render.text import one_line
from generator.spec.cluster import Cluster
from generator.spec.node import Node


def render_tuning(cluster: Cluster, profile: Profile) -> Iterator[Artefact]:
    """Kernel and limits: the same on every node of a release."""
    sysctls = plan_sysctls(cluster, profile)
    yield _lines("sysctl.conf", (f"{key} = {value}" for key, value in sysctls.items()))
    yield _lines("modules.conf", plan_modules(profile))
    yield _lines("modprobe.conf", (f"options {module} {options}" for module, options in MODULE_OPTIONS.items()))
    yield _lines("limits.conf", ("[Manager]", *(f"{key}={value}" for key, value in LIMITS.items())))


def render_hosts(cluster: Cluster, extra: Mapping[str, Iterable[str]]) -> Artefact:
    """hosts(5): every node of the cluster by its short and its full name, then the spec's own lines."""
    domain = cluster.kubernetes.cluster_domain
    nodes = (f"{node.address} {node.name} {node.name}.{domain}" for node in cluster.nodes)
    return _lines("hosts", (*nodes, *(" ".join((address, *names)) for address, names in extra.items())))


def render_chrony(servers: Iterable[str]) -> Artefact:
    """chrony.conf(5): the first three updates may step the clock, as a machine fresh from the factory needs."""
    sources = (f"server {server} iburst" for server in servers)
    rest = ("driftfile /var/lib/chrony/drift", "makestep 1.0 3", "rtcsync")
    return _lines("chrony.conf", (*sources, *rest))


def render_passwords(node: Node) -> Artefact | None:
    """`user:hash` lines for `chpasswd -e`; None when nobody has a password."""
    lines = [f"{user.name}:{user.password_hash.reveal()}" for user in node.users if user.password_hash]
    return _lines("passwords", lines, secret=True) if lines else None


def _lines(path: str, lines: Iterable[str], *, secret: bool = False) -> Artefact:
    text = "".join(f"{one_line(line)}\n" for line in lines)
    return Artefact(path, text.encode(), 0o600 if secret else 0o644, secret)
