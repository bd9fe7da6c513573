"""Knows how a spec file and an OUT folder become the inputs of `generate`, and how a seed is read back from OUT."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import yaml

from generator.bundle import FILES, OTHER, Bundle, parse_bundle, renew_bundle
from generator.disk import describe
from generator.errors import LocalError, Problem, UsageError
from generator.files import Inputs
from generator.impact import Impact, judge_changes
from generator.iso import FILES as SEED_FILES
from generator.manifest import Manifest
from generator.mirror import load_mirrors
from generator.nearest import choice_hint
from generator.output import Changes
from generator.parse import load_spec
from generator.plan.filesets import plan_filesets
from generator.profile import load_profiles
from generator.rollover import take_step
from generator.root_step import RootStep
from generator.scripts import load_scripts
from generator.spec.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted: a checked cluster, and the nodes that are to be installed anew."""

    cluster: Cluster
    digest: str
    audit_policy: str | None
    reinstall: Collection[str]
    root: RootStep | None = None


def load_order(
    spec: Path, reinstall: Collection[str], *, strict: bool, root: RootStep | None = None
) -> tuple[Order, tuple[Problem, ...]]:
    """The order in a spec file, and the spec's warnings. SpecError, UsageError or LocalError when there is none."""
    cluster, warnings, digest = load_spec(spec, strict=strict)
    _check_names(reinstall, [node.name for node in cluster.nodes])
    return Order(cluster, digest, _audit_policy(cluster, spec.parent), frozenset(reinstall), root), warnings


def prepare(order: Order, out: Path, before: Manifest) -> Inputs:
    """Everything that the artefacts depend on. Reads OUT's secrets, the clock and a random source; writes nothing."""
    now = datetime.now(UTC)
    bundle = renew_bundle(
        load_bundle(out, before),
        order.cluster.metadata.name,
        [node.name for node in order.cluster.nodes],
        now=now,
        random=os.urandom,
        reinstall=order.reinstall,
    )
    if order.root:
        bundle = take_step(bundle, order.root, now=now, random=os.urandom)
    return Inputs(
        cluster=order.cluster,
        spec_digest=order.digest,
        profiles=load_profiles(),
        mirrors=load_mirrors(),
        bundle=bundle,
        scripts=load_scripts(),
        audit_policy=order.audit_policy,
    )


def load_bundle(out: Path, manifest: Manifest) -> Bundle | None:
    """The secrets of an earlier `generate`. Lost ones are never made anew: no node would trust the new root."""
    found = {path: (out / path).read_bytes() for path in FILES + OTHER if (out / path).exists()}
    if not found and manifest.entries:
        raise LocalError.because(
            "the cluster's secrets are gone", file=str(out / "secrets"), hint="restore the folder from a backup"
        )
    try:
        return parse_bundle(found)
    except LocalError as error:
        raise LocalError(replace(problem, file=str(out / problem.file)) for problem in error.problems) from None


def impacts(cluster: Cluster, changes: Changes) -> tuple[Impact, ...]:
    """What the changes mean for each node, in the order of the spec."""
    filesets = {str(node.name): [fileset.name for fileset in plan_filesets(cluster, node)] for node in cluster.nodes}
    return judge_changes(filesets, changes)


def seed_names(out: Path, asked: Sequence[str]) -> tuple[str, ...]:
    """The nodes whose seeds are meant: those asked for, or all."""
    known = sorted(path.name for path in (out / "nodes").iterdir() if path.is_dir())
    _check_names(asked, known)
    return tuple(asked) or tuple(known)


def read_seed(out: Path, node: str) -> dict[str, bytes]:
    """The four files of a node's NoCloud folder."""
    return {name: (out / "nodes" / node / name).read_bytes() for name in SEED_FILES}


def _check_names(asked: Collection[str], known: Collection[str]) -> None:
    for name in asked:
        if name not in known:
            raise UsageError.because(f"there is no node {name!r}", hint=choice_hint(name, known))


def _audit_policy(cluster: Cluster, folder: Path) -> str | None:
    """The text of the spec's own audit policy, which has to be one (audit.k8s.io/v1 Policy)."""
    audit = cluster.kubernetes.audit
    if not audit.enabled or audit.policy_file is None:
        return None
    path = folder / audit.policy_file
    with describe(path):
        text = path.read_text()
    if not _is_policy(text):
        raise LocalError.because(
            "this is not an audit.k8s.io/v1 Policy", file=str(path), hint="see policyFile in the spec"
        )
    return text


def _is_policy(text: str) -> bool:
    try:
        tree = yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError:
        return False
    return isinstance(tree, dict) and (tree.get("apiVersion"), tree.get("kind")) == ("audit.k8s.io/v1", "Policy")
