"""Knows the way from kubeadm-ha's two files to a spec."""

from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from generator.check.unsupported import check_unsupported
from generator.errors import Problem, SpecError
from generator.importer.ansible import Inventory, Setting, Settings, parse_inventory
from generator.importer.draft import Draft, Imported, facts_of
from generator.importer.machine import Machine, machines
from generator.importer.rules import RULES, balancer
from generator.importer.table import ALSO, CARRIED, DEFAULTS, names
from generator.importer.write import Frame, write_spec
from generator.nearest import nearest
from generator.profile import Profile
from generator.source import parse_source
from generator.spec.cluster import Cluster


def import_spec(
    inventory_text: str, variables: tuple[str, bytes] | None, profile: Profile, frame: Frame, *, file: str
) -> Imported:
    """The spec of the cluster that kubeadm-ha would make. SpecError when the files are not what they should be."""
    inventory = parse_inventory(inventory_text, file)
    settings = _settings(inventory, variables)
    version = settings.get("kube_version", Setting(DEFAULTS["kube_version"])).value
    draft = Draft(settings, facts_of(profile.os_id, profile.codename, str(version)))
    draft.tree = {"packages": {"preset": "china"}}
    _fill(draft)
    with_vip = balancer(draft, inventory)
    for rule in RULES:
        rule(draft)
    nodes = machines(draft, inventory, with_vip=with_vip)
    _tell_unknown(draft)
    _drop_unsupported(draft, nodes, frame)
    return Imported(write_spec(draft, nodes, frame), _in_order(draft.warnings))


def _settings(inventory: Inventory, variables: tuple[str, bytes] | None) -> Settings:
    """Variables of all hosts; those of the variables file win, as with Ansible's -e."""
    found = dict(inventory.variables.get("all", {})) | _file_settings(variables)
    return {ALSO.get(name, name): setting for name, setting in found.items()}


def _file_settings(variables: tuple[str, bytes] | None) -> dict[str, Setting]:
    """The variables file; one whose lines are all comments, like the one that kubeadm-ha comes with, says nothing."""
    if variables is None:
        return {}
    file, content = variables
    lines = content.decode("utf-8", "replace").splitlines()
    if all(not line.strip() or line.lstrip().startswith(("#", "---", "\ufeff#")) for line in lines):
        return {}
    source = parse_source(content, file)
    if not isinstance(source.data, dict):
        raise SpecError([source.problem((), "variables are a mapping", "name kubeadm-ha's variables.yaml")])
    return {name: Setting(value, file, source.root.items[name].key.line + 1) for name, value in source.data.items()}


def _fill(draft: Draft) -> None:
    """Every variable whose value goes to one place as it is."""
    for entry in CARRIED:
        if entry.read and draft.is_set(entry.name):
            value = draft.value(entry.name, entry.read)
            if value is not None:
                draft.put(entry.name, entry.path, value)


def _tell_unknown(draft: Draft) -> None:
    known = names()
    for name in draft.settings:
        if name not in known and not name.startswith("ansible_"):
            near = nearest(name, known)
            draft.tell(name, "kubeadm-ha has no such variable; it is left out", f"did you mean {near}?" if near else "")


def _drop_unsupported(draft: Draft, nodes: list[Machine], frame: Frame) -> None:
    """What this release refuses is left out, with a word; the list is the one that `validate` goes by."""
    tree = {**frame.head(), **draft.tree, "nodes": [machine.settings for machine in nodes]}
    try:
        cluster = Cluster.model_validate(tree)
    except ValidationError:
        return  # whoever checks the spec tells what is wrong
    for finding in check_unsupported(cluster):
        path = ".".join(map(str, finding.path))
        draft.tell(_variable(path), f"not yet supported; {_replace(draft.tree, path)}", finding.hint)


def _replace(tree: dict[str, Any], path: str) -> str:
    """Takes it out of the tree; what stands there instead."""
    section, key, *_ = path.split(".")
    if path == "network.plugin":
        tree[section][key] = "flannel"
        return "flannel is written instead, which enforces no NetworkPolicy"
    tree[section].pop(key, None)
    if not tree[section]:
        del tree[section]
    return "it is left out"


def _variable(path: str) -> str:
    return next((entry.name for entry in CARRIED if entry.path == path), path)


def _in_order(warnings: list[Problem]) -> tuple[Problem, ...]:
    """By file and line; what stands nowhere first."""
    return tuple(sorted(map(_plain, warnings), key=lambda problem: (problem.file, problem.line)))


def _plain(problem: Problem) -> Problem:
    return replace(problem, excerpt=())
