"""Knows Ansible's inventories in INI form: groups, hosts with their variables, `[group:vars]`, `[group:children]`."""

import ast
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from generator.errors import Problem, Severity, SpecError
from generator.value.series import LARGEST

_SECTION = re.compile(r"\[([A-Za-z0-9_.-]+)(?::(vars|children))?\]")
_RANGE = re.compile(r"\[([0-9]+):([0-9]+)\]")


class Setting(NamedTuple):
    """A variable's value and where it was set; line 0 is nowhere."""

    value: Any
    file: str = ""
    line: int = 0


Settings = Mapping[str, Setting]


@dataclass
class Inventory:
    """Hosts in the order of the file with their own variables, the members of groups, and the variables of all."""

    hosts: dict[str, dict[str, Setting]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=dict)
    variables: dict[str, dict[str, Setting]] = field(default_factory=dict)

    def members(self, group: str) -> tuple[str, ...]:
        """The hosts of a group and of its children, in the order of the file."""
        found = set(self._below(group, frozenset()))
        return tuple(host for host in self.hosts if host in found)

    def _below(self, group: str, seen: frozenset[str]) -> Iterator[str]:
        if group not in seen:
            yield from self.groups.get(group, ())
            for child in self.children.get(group, ()):
                yield from self._below(child, seen | {group})

    def of_host(self, host: str) -> dict[str, Setting]:
        """The variables that are the host's own: of its groups, and of its line, which win."""
        found: dict[str, Setting] = {}
        for group, settings in self.variables.items():
            if group != "all" and host in self.members(group):
                found |= settings
        return found | self.hosts[host]


def parse_inventory(text: str, file: str) -> Inventory:
    """The inventory. SpecError with every line that is none."""
    inventory, problems = Inventory(), []
    group, kind = "ungrouped", None
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = "".join(char if char.isprintable() else " " for char in line).strip()
        if not stripped or stripped[0] in ";#":
            continue
        try:
            if section := _SECTION.fullmatch(re.sub(r"\s+[;#].*$", "", stripped)):
                group, kind = section[1], section[2]
                inventory.groups.setdefault(group, [])
            else:
                _take(inventory, group, kind, stripped, Setting(None, file, number))
        except ValueError as error:
            problems.append(Problem(Severity.ERROR, str(error), file=file, line=number, hint="see Ansible's inventory"))
    grouped = inventory.groups.keys() - {"ungrouped"}
    if not grouped or (not inventory.hosts and not problems):
        hint = "name kubeadm-ha's hosts.ini: the file with [all], [etcd], [kube-master], [kube-worker]"
        missing = "host" if grouped else "[group]"
        raise SpecError.because(f"no {missing} is in this inventory", file=file, hint=hint)
    if problems:
        raise SpecError(problems)
    return inventory


def _take(inventory: Inventory, group: str, kind: str | None, line: str, at: Setting) -> None:
    """One line that is neither empty nor a section's head."""
    if kind == "vars":
        key, found, value = line.partition("=")
        if not found or not key.strip():
            raise ValueError("a line of variables is name=value")
        inventory.variables.setdefault(group, {})[key.strip()] = at._replace(value=_literal(value.strip()))
    elif kind == "children":
        inventory.children.setdefault(group, []).append(line.split()[0])
    else:
        _take_hosts(inventory, group, line, at)


def _take_hosts(inventory: Inventory, group: str, line: str, at: Setting) -> None:
    try:
        name, *words = shlex.split(line, comments=True)
    except ValueError:
        raise ValueError("a quote is left open") from None
    settings = {}
    for word in words:
        key, found, value = word.partition("=")
        if not found:
            raise ValueError(f"{word!r} is no variable: a host's line is HOST name=value name=value")
        settings[key] = at._replace(value=_literal(value))
    for host in _hosts(name):
        inventory.hosts.setdefault(host, {}).update(settings)
        inventory.groups.setdefault(group, []).append(host)


def _hosts(name: str) -> Sequence[str]:
    """`node[01:03]` as Ansible counts: both ends, zeros in front kept."""
    found = _RANGE.search(name)
    if found is None:
        return [name]
    first, last = int(found[1]), int(found[2])
    if not 0 <= last - first < LARGEST:
        raise ValueError(f"{name!r} is no range of hosts")
    width = len(found[1])
    return [f"{name[: found.start()]}{at:0{width}d}{name[found.end() :]}" for at in range(first, last + 1)]


def _literal(text: str) -> Any:
    """A value as Ansible takes it: a Python literal where it is one, else text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
