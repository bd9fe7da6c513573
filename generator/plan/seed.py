"""Knows what a node's seed says: who it is, how it reaches the network, who may log in, how it proves itself."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from generator.bundle import Bundle, Enrolment
from generator.plan.disk import DataDisk, plan_data_disks
from generator.plan.host import host_facts
from generator.plan.kubernetes import kubernetes_facts
from generator.plan.network import Network, plan_network
from generator.profile import Profile
from generator.secret import Secret
from generator.spec.cluster import Cluster
from generator.spec.host import User
from generator.spec.node import Node


@dataclass(frozen=True, slots=True)
class Login:
    """An account that the installer makes; `group` lets it become root."""

    name: str
    ssh_keys: tuple[str, ...]
    group: str
    password_hash: Secret[str] | None


@dataclass(frozen=True, slots=True)
class Seed:
    """All that differs between the seeds of two nodes. `proof` is `<enrolId>:<secret>`; `cloud_init` a version."""

    instance_id: str
    hostname: str
    logins: tuple[Login, ...]
    network: Network
    disks: tuple[DataDisk, ...]
    cloud_init: tuple[int, ...]
    labels_programs: bool
    conf: Mapping[str, str]
    root: str
    proof: Secret[str] | None

    @property
    def public(self) -> "Seed":
        """The seed as plain HTTP may carry it: no enrolment secret and no password hash."""
        return replace(self, proof=None, logins=tuple(replace(login, password_hash=None) for login in self.logins))


def plan_seed(cluster: Cluster, node: Node, profile: Profile, bundle: Bundle, programs: str) -> Seed:
    """The sealed seed of a node; `programs` is the digest of the programs that it may run."""
    enrolment = bundle.enrolments[node.name]
    return Seed(
        instance_id=f"{cluster.metadata.name}-{node.name}-{enrolment.generation}",
        hostname=node.name,
        logins=tuple(_login(user, profile) for user in node.users),
        network=plan_network(node),
        disks=plan_data_disks(cluster, node),
        cloud_init=profile.cloud_init_version,
        labels_programs=profile.selinux,
        conf={**host_facts(cluster, node, profile, enrolment), **kubernetes_facts(cluster, node), "PROGRAMS": programs},
        root=bundle.trusted,
        proof=_proof(enrolment),
    )


def _login(user: User, profile: Profile) -> Login:
    return Login(user.name, user.ssh_keys, profile.sudo_group if user.sudo else "", user.password_hash)


def _proof(enrolment: Enrolment) -> Secret[str]:
    return Secret(f"{enrolment.id}:{enrolment.secret.reveal()}")
