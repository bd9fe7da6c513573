"""Knows everything that `generate` writes: all artefacts of a cluster, node by node, each read back first."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

from generator.bundle import Bundle, dump_bundle
from generator.mirror import Mirror
from generator.plan.filesets import Fileset, plan_filesets
from generator.plan.install import Install, plan_install
from generator.plan.inventory import inventory_cluster, inventory_node
from generator.plan.packages import Source, plan_sources
from generator.plan.pxe import boot_url
from generator.plan.seed import Seed, plan_seed
from generator.profile import Profile
from generator.render.artefact import Artefact
from generator.render.cloud_init import render_user_data
from generator.render.dump import Data, dump_json
from generator.render.filesets import Subject, render_fileset
from generator.render.installer import render_installation
from generator.render.meta_data import render_meta_data
from generator.render.network_config import render_network_config
from generator.render.pxe import render_boot
from generator.scripts import Script, Scripts
from generator.spec.cluster import Cluster
from generator.spec.node import Node
from generator.spec.pxe import Deployment
from generator.verify import verify, verify_user_data


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that the artefacts depend on: the same inputs give the same bytes."""

    cluster: Cluster
    spec_digest: str
    profiles: Mapping[str, Profile]
    mirrors: Mapping[str, Mirror]
    bundle: Bundle
    scripts: Scripts
    audit_policy: str | None = None


def _unwatched(node: str) -> None:
    """Nobody counts."""


def render_files(inputs: Inputs, *, done: Callable[[str], None] = _unwatched) -> Iterator[Artefact]:
    """Every artefact below OUT; `done` is told each node's name. One node's artefacts are in memory at a time."""
    for path, data in dump_bundle(inputs.bundle).items():
        yield Artefact(path, data, 0o600, secret=True)
    yield Artefact("pxe/ca.crt", inputs.bundle.trusted.encode())
    if inputs.cluster.pxe:
        yield from render_boot(inputs.cluster, inputs.cluster.pxe, inputs.profiles)
    coordinator = _Coordinator()
    for node in inputs.cluster.nodes:
        yield from map(verify, _node(inputs, node, coordinator))
        done(node.name)
    yield verify(coordinator.inventory(inputs))


def _node(inputs: Inputs, node: Node, coordinator: "_Coordinator") -> Iterator[Artefact]:
    profile = inputs.profiles[node.os]
    seed = plan_seed(inputs.cluster, node, profile, inputs.bundle, inputs.scripts.digest)
    scripts = inputs.scripts.seed + (inputs.scripts.kernel if node.upgrade_kernel else ())
    yield from _seed(f"nodes/{node.name}", seed, scripts)
    yield from _seed(f"pxe/seed/{node.name}", seed.public, scripts)
    install = plan_install(inputs.cluster, node, profile, coordinator.sources(inputs, profile))
    yield _installation(f"nodes/{node.name}", seed, install, scripts)
    if inputs.cluster.pxe and node.pxe.deploy is Deployment.INSTALLER:
        reporting = replace(install, reports_to=boot_url(inputs.cluster))
        yield _installation(f"pxe/seed/{node.name}", seed.public, reporting, scripts)
    mirror = inputs.mirrors[inputs.cluster.packages.preset]
    password = inputs.cluster.load_balancer.keepalived.password or inputs.bundle.keepalived_password
    subject = Subject(inputs.cluster, node, profile, mirror, password, inputs.scripts.programs, inputs.audit_policy)
    yield from coordinator.take(subject, inputs.bundle)


def _seed(folder: str, seed: Seed, scripts: tuple[Script, ...]) -> Iterator[Artefact]:
    """A NoCloud folder (cloud-init, DataSourceNoCloud). Vendor-data is empty, so that nobody waits for one."""
    secret = seed.proof is not None
    mode = 0o600 if secret else 0o644
    user_data = verify_user_data(f"{folder}/user-data", render_user_data(seed, scripts))
    yield Artefact(f"{folder}/user-data", user_data.data, mode, secret)
    if secret:  # clouds take it; plain HTTP serves the four files that NoCloud asks for
        yield Artefact(f"{folder}/user-data.gz", user_data.gzipped, mode, secret)
    yield Artefact(f"{folder}/meta-data", render_meta_data(seed.instance_id, seed.hostname))
    yield Artefact(f"{folder}/network-config", render_network_config(seed))
    yield Artefact(f"{folder}/vendor-data", b"")


def _installation(folder: str, seed: Seed, install: Install, scripts: tuple[Script, ...]) -> Artefact:
    """What the distribution's own installer reads."""
    name, data = render_installation(seed, install, scripts)
    secret = seed.proof is not None
    return Artefact(f"{folder}/{name}", data, 0o600 if secret else 0o644, secret)


@dataclass
class _Coordinator:
    """What the coordinator gets: each fileset once, and the inventory of all of them."""

    filesets: dict[str, Data] = field(default_factory=dict)
    nodes: dict[str, Data] = field(default_factory=dict)
    releases: dict[str, tuple[Source, ...]] = field(default_factory=dict)

    def sources(self, inputs: Inputs, profile: Profile) -> tuple[Source, ...]:
        """The package sources of a release, planned once."""
        if profile.id not in self.releases:
            mirror = inputs.mirrors[inputs.cluster.packages.preset]
            self.releases[profile.id] = plan_sources(inputs.cluster, profile, mirror)
        return self.releases[profile.id]

    def take(self, subject: Subject, bundle: Bundle) -> Iterator[Artefact]:
        filesets = plan_filesets(subject.cluster, subject.node)
        for fileset in filesets:
            if fileset.name not in self.filesets:
                yield from self._render(fileset, subject)
        enrolment = bundle.enrolments[subject.node.name]
        self.nodes[subject.node.name] = inventory_node(subject.cluster, subject.node, enrolment, filesets)

    def inventory(self, inputs: Inputs) -> Artefact:
        """0600: a digest of a short password would let its reader try passwords at leisure."""
        tree = inventory_cluster(inputs.cluster, inputs.spec_digest)
        data = dump_json({**tree, "filesets": self.filesets, "nodes": self.nodes}).encode()
        return Artefact("coordinator/inventory.json", data, 0o600)

    def _render(self, fileset: Fileset, subject: Subject) -> Iterator[Artefact]:
        files = render_fileset(fileset, subject)
        self.filesets[fileset.name] = [_entry(file) for file in files]
        for file in files:
            yield Artefact(f"coordinator/files/{fileset.name}/{file.path}", file.data, file.mode, file.secret)


def _entry(file: Artefact) -> Data:
    return {"path": file.path, "mode": f"{file.mode:04o}", "sha256": sha256(file.data).hexdigest()}
