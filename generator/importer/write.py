"""Knows how a draft is written down: a spec with comments that say where each part came from and what to look at."""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any, NamedTuple

from generator.importer.draft import Draft
from generator.importer.machine import UNKNOWN, Machine
from generator.render.dump import dump_yaml

_ORDER = ("kubernetes", "network", "loadBalancer", "etcd", "engine", "packages", "addons")
_NOTES = {
    "packages": "kubeadm-ha's own mirrors and images, inside China. upstream: the projects' own.",
}
_WIDTH = 118


class Frame(NamedTuple):
    """What an inventory does not know, and the person who imports it may say."""

    name: str
    os: str
    coordinator: str

    def head(self) -> dict[str, Any]:
        """The sections that every spec has."""
        return {"metadata": {"name": self.name}, "coordinator": {"url": self.coordinator}}


def write_spec(draft: Draft, nodes: Sequence[Machine], frame: Frame) -> str:
    """The spec's text."""
    return "\n".join([*_head(draft, frame), *_sections(draft), *_defaults(draft, frame), *_nodes(nodes)]) + "\n"


def _head(draft: Draft, frame: Frame) -> Iterator[str]:
    yield "# Imported from kubeadm-ha. Look at what is marked (1) to (4), then: kubeseed validate"
    yield "# `kubeseed explain PATH` tells what a key means and its default."
    if draft.warnings:
        yield "#"
        yield "# What was left out or replaced:"
        for warning in draft.warnings:
            yield from wrap(_plain(warning.message), _WIDTH, initial_indent="# - ", subsequent_indent="#   ")
    yield "apiVersion: kubeseed/v1"
    yield "kind: Cluster"
    yield from _dumped("metadata", {"name": frame.name})
    yield ""
    yield "# (1) The machine on which you run `kubeseed serve`. All nodes have to reach it; it is not one of them."
    yield from _dumped("coordinator", {"url": frame.coordinator})


def _plain(text: str) -> str:
    """As a comment may hold it."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _sections(draft: Draft) -> Iterator[str]:
    for section in _ORDER:
        if section in draft.tree:
            yield ""
            yield from _comment(draft, section)
            yield from _dumped(section, draft.tree[section])


def _comment(draft: Draft, section: str) -> Iterator[str]:
    if section in _NOTES:
        yield f"# {_NOTES[section]}"
    if origins := list(dict.fromkeys(draft.origins.get(section, ()))):
        yield from wrap(f"From {', '.join(origins)}.", _WIDTH, initial_indent="# ", subsequent_indent="# ")


def _defaults(draft: Draft, frame: Frame) -> Iterator[str]:
    yield ""
    yield "# What all nodes have in common; each node may override every key."
    yield from _comment(draft, "defaults")
    yield "defaults:"
    yield f"  os: {frame.os}  # (2) what the machines are to run: `kubeseed profiles` lists what there is"
    if own := draft.tree.get("defaults"):
        yield from (f"  {line}" for line in dump_yaml(own).splitlines())
    yield "  # (3) Who may log in, and the network of the machines; kubeadm-ha does not know either:"
    yield '  #users: [{name: ops, sshKeys: ["ssh-ed25519 AAAA... ops@example"]}]'
    yield "  #network: {gateway: 192.168.56.1, nameservers: [192.168.56.1], prefix: 24}   # or {dhcp: true}"


def _nodes(nodes: Sequence[Machine]) -> Iterator[str]:
    yield ""
    yield '# (4) The machines. Add the MAC address of the card that gets the address: mac: "52:54:00:00:00:11"'
    if any(machine.settings["address"].startswith(UNKNOWN) for machine in nodes):
        yield f"# Addresses that begin with {UNKNOWN} stand for those that are not in the inventory."
    yield "nodes:"
    for machine in nodes:
        settings = ", ".join(f"{key}: {_flow(value)}" for key, value in machine.settings.items())
        was = (
            f"  # {machine.host}" if machine.host not in (machine.settings["name"], machine.settings["address"]) else ""
        )
        yield f"- {{{settings}}}{was}"


def _dumped(section: str, value: Any) -> Iterator[str]:
    yield from dump_yaml({section: value}).splitlines()


def _flow(value: Any) -> str:
    """A value in flow style: quoted where a bracket, comma or colon in it would mean something."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_flow(key)}: {_flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, bool | int):
        return str(value).lower()
    plain = str(value)
    safe = plain and all(char.isalnum() or char in "-._/" for char in plain) and not plain.isdigit()
    return plain if safe else "'" + plain.replace("'", "''") + "'"
