"""Knows how the hosts of an inventory become nodes: names, roles, addresses, and what a host has of its own."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from generator.importer.ansible import Inventory, Setting
from generator.importer.draft import Draft
from generator.importer.table import CARRIED
from generator.value import InvalidValueError, NodeName, parse_address

_ROLES = (("master", "kube-master"), ("etcd", "etcd"), ("worker", "kube-worker"), ("lb", "lb"))
_LEAVING = {"del-master": "master", "del-etcd": "etcd", "del-worker": "worker"}
_JOINING = {"new-master": "master", "new-etcd": "etcd", "new-worker": "worker"}
_PREFIXES = {"master": "m", "worker": "w", "etcd": "e", "lb": "lb"}
# What is written where nobody knows an address: TEST-NET-1 (RFC 5737), which no machine has.
UNKNOWN = "192.0.2."


class Machine(NamedTuple):
    """A node of the spec and what its host was called."""

    host: str
    settings: dict[str, Any]


def machines(draft: Draft, inventory: Inventory, *, with_vip: bool) -> list[Machine]:
    """The nodes, in the order of the file."""
    roles = {host: found for host in inventory.hosts if (found := _roles(inventory, host, with_vip=with_vip))}
    for host in inventory.hosts:
        if host not in roles:
            draft.tell(host, "this host has no role: no node", "put it into kube-master, kube-worker or etcd")
    _tell_moves(draft, inventory)
    names = _names(draft, roles)
    nodes = []
    for number, (host, held) in enumerate(roles.items(), start=1):
        address = _address(draft, inventory, host, number)
        nodes.append(Machine(host, {"name": names[host], "roles": held, "address": address}))
    for machine in nodes:
        _own_settings(draft, inventory.of_host(machine.host), machine)
    _tell_connections(draft, inventory)
    return nodes


def _roles(inventory: Inventory, host: str, *, with_vip: bool) -> list[str]:
    """The roles of a host once its pending changes are made; lb only where there is a VIP to carry."""
    joining = [role for group, role in _JOINING.items() if host in inventory.members(group)]
    leaving = {role for group, role in _LEAVING.items() if host in inventory.members(group)}
    if host in inventory.members("del-node"):
        return []
    held = [role for role, group in _ROLES if host in inventory.members(group) or role in joining]
    return [role for role in held if role not in leaving and (role != "lb" or with_vip)]


def _tell_moves(draft: Draft, inventory: Inventory) -> None:
    for group in (*_JOINING, *_LEAVING, "del-node"):
        if hosts := inventory.members(group):
            draft.tell(f"[{group}]", f"the spec is the cluster after this change: {', '.join(hosts)}")


def _names(draft: Draft, roles: Mapping[str, list[str]]) -> dict[str, str]:
    """A host's own name where it is one; machines that are called by their address get a name by their role."""
    names = {host: name for host in roles if (name := _own_name(host))}
    taken = set(names.values())
    for host, held in roles.items():
        if host not in names:
            names[host] = next(name for name in _numbered(_PREFIXES[held[0]]) if name not in taken)
            taken.add(names[host])
    return names


def _own_name(host: str) -> str:
    name = host.lower().replace("_", "-")
    try:
        return "" if re.fullmatch(r"[0-9.]+", name) or ":" in name else str(NodeName.parse(name))
    except InvalidValueError:
        return ""


def _numbered(prefix: str) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"{prefix}{number}"


def _address(draft: Draft, inventory: Inventory, host: str, number: int) -> str:
    """The address that kubeadm-ha reaches the host at."""
    own = inventory.of_host(host)
    for word in (own["ansible_host"].value if "ansible_host" in own else host, host):
        try:
            return str(parse_address(str(word)))
        except InvalidValueError:
            continue
    draft.tell(host, "its address is not in the inventory", f"write it in place of {UNKNOWN}{number % 250}")
    return f"{UNKNOWN}{number % 250}"


def _own_settings(draft: Draft, own: Mapping[str, Setting], machine: Machine) -> None:
    """A host's own value of a variable whose place is in `defaults`; a node may override those alone."""
    places = {entry.name: entry for entry in CARRIED}
    for name, setting in own.items():
        if name.startswith("ansible_"):
            continue
        entry = places.get(name)
        if entry is None or entry.read is None or not entry.path.startswith("defaults."):
            draft.tell(name, f"it is set for {machine.host} alone, and holds for the whole cluster only", at=setting)
        elif (value := draft.own_value(name, setting, entry.read)) is not None:
            machine.settings[entry.path.removeprefix("defaults.")] = value


def _tell_connections(draft: Draft, inventory: Inventory) -> None:
    """How Ansible logs in is of no use here: nobody logs in to a node. Each variable is told once."""
    told: set[str] = set()
    settings = [item for host in inventory.hosts for item in inventory.of_host(host).items()]
    for name, setting in [*settings, *inventory.variables.get("all", {}).items()]:
        if name.startswith("ansible_") and name != "ansible_host" and name not in told:
            told.add(name)
            secret = "pass" in name
            hint = "take the passwords out of the inventory; nothing needs them" if secret else ""
            draft.tell(name, "left out: nodes pull, and nobody logs in to them", hint, at=setting)
