"""Knows the files of each fileset (docs/node.md): which renderers make what a node fetches from the coordinator."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from generator.mirror import Mirror
from generator.plan.backup import CERTIFICATE, takes_copies
from generator.plan.etcd import plan_member, plan_members, runs_external_member
from generator.plan.filesets import Fileset, Scope
from generator.plan.firewall import plan_firewall
from generator.plan.kubelet import plan_kubelet
from generator.plan.load_balancer import plan_balancer, plan_vrrp
from generator.plan.packages import plan_package_names, plan_sources
from generator.profile import Profile
from generator.render.artefact import Artefact
from generator.render.audit import render_audit_policy
from generator.render.cni import render_cni
from generator.render.dump import dump_yaml
from generator.render.engine import render_engine
from generator.render.etcd import render_etcd
from generator.render.firewall import render_firewall
from generator.render.host_files import render_chrony, render_hosts, render_passwords, render_tuning
from generator.render.kubeadm import render_init, render_join
from generator.render.labels import render_labels
from generator.render.load_balancer import render_balancer, render_keepalived
from generator.render.packages import render_packages
from generator.render.rbac import render_rbac
from generator.secret import Secret
from generator.spec.cluster import Cluster
from generator.spec.load_balancer import LoadBalancerMode
from generator.spec.node import Node, Role


@dataclass(frozen=True, slots=True)
class Subject:
    """What a fileset is rendered from. `audit_policy` is the text of the spec's own policy file, where it names one."""

    cluster: Cluster
    node: Node
    profile: Profile
    mirror: Mirror
    keepalived_password: Secret[str]
    programs: bytes
    audit_policy: str | None = None


def render_fileset(fileset: Fileset, subject: Subject) -> tuple[Artefact, ...]:
    """The files of a fileset, their paths below the fileset's folder, in the order of their paths."""
    return tuple(sorted(_RENDERERS[fileset.scope](subject), key=lambda artefact: artefact.path))


def _programs(subject: Subject) -> Iterator[Artefact]:
    yield Artefact("programs.tar", subject.programs)


def _release(subject: Subject) -> Iterator[Artefact]:
    yield from render_tuning(subject.cluster, subject.profile)
    yield from render_engine(subject.cluster)
    sources = plan_sources(subject.cluster, subject.profile, subject.mirror)
    yield from render_packages(subject.profile.package_manager, sources, plan_package_names(subject.profile))


def _settings(subject: Subject) -> Iterator[Artefact]:
    yield render_hosts(subject.cluster, subject.node.hosts)
    if subject.node.ntp:
        yield render_chrony(subject.node.ntp)


def _kubernetes(subject: Subject) -> Iterator[Artefact]:
    yield Artefact("kubelet.conf.yaml", dump_yaml(plan_kubelet(subject.cluster)).encode())


def _balancer(subject: Subject) -> Iterator[Artefact]:
    yield from render_balancer(subject.cluster.load_balancer.engine, plan_balancer(subject.cluster))


def _firewall(subject: Subject) -> Iterator[Artefact]:
    yield render_firewall(plan_firewall(subject.cluster, subject.node))


def _master(subject: Subject) -> Iterator[Artefact]:
    yield render_labels(subject.cluster)
    if subject.cluster.kubernetes.audit.enabled:
        yield render_audit_policy(subject.audit_policy)


def _first_master(subject: Subject) -> Iterator[Artefact]:
    yield render_init(subject.cluster)
    yield render_rbac()
    yield from render_cni(subject.cluster)


def _node(subject: Subject) -> Iterator[Artefact]:
    cluster, node = subject.cluster, subject.node
    if passwords := render_passwords(node):
        yield passwords
    if {Role.MASTER, Role.WORKER} & set(node.roles) and node.name != cluster.first_master.name:
        yield render_join(cluster, node)
    if runs_external_member(cluster, node):
        yield render_etcd(plan_member(node), plan_members(cluster), cluster.etcd.data_dir)
    if takes_copies(cluster, node) and cluster.etcd.backup.encrypt_to:
        yield Artefact(CERTIFICATE, cluster.etcd.backup.encrypt_to.encode())
    if cluster.load_balancer.mode is LoadBalancerMode.VIP and Role.LB in node.roles:
        yield render_keepalived(plan_vrrp(cluster, node, subject.keepalived_password))


_RENDERERS: Mapping[Scope, Callable[[Subject], Iterator[Artefact]]] = {
    Scope.PROGRAMS: _programs,
    Scope.RELEASE: _release,
    Scope.SETTINGS: _settings,
    Scope.KUBERNETES: _kubernetes,
    Scope.BALANCER: _balancer,
    Scope.FIREWALL: _firewall,
    Scope.MASTER: _master,
    Scope.FIRST_MASTER: _first_master,
    Scope.NODE: _node,
}
