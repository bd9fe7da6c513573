"""An etcd of paper: `etcdctl` repeats what a real one said. For what concerns files and days, not etcd."""

from pathlib import Path

from tests.backup.etcd import Member
from tests.backup.node import Node

ETCDCTL = """#!/bin/sh
for last in "$@"; do :; done
case "$*" in
*'endpoint status'*) cat /paper/status ;;
*'get kubeseed/backup'*) [ ! -e /paper/record ] || cat /paper/record ;;
*'put kubeseed/backup'*) echo "$last" >/paper/record ;;
*'snapshot save'*) cp /paper/snapshot.db "$last" && chmod 0600 "$last" ;;
*'snapshot status'*) cat /paper/figures ;;
*'member list'*) cat /paper/members ;;
version) cat /paper/version ;;
esac
"""


def write_down(member: Member, folder: Path) -> None:
    """Asks a living member everything that a backup asks."""
    member.etcdctl("snapshot", "save", str(folder / "snapshot.db"))
    answers = {
        "status": ("endpoint", "status", "-w", "fields"),
        "figures": ("snapshot", "status", str(folder / "snapshot.db"), "-w", "fields"),
        "members": ("member", "list"),
        "version": ("version",),
    }
    for name, words in answers.items():
        (folder / name).write_text(member.etcdctl(*words))


def on_paper(node: Node, folder: Path) -> Node:
    """The node, whose etcdctl repeats what is written in the folder from now on."""
    (node.root / "paper").mkdir()
    for answer in folder.iterdir():
        (node.root / "paper" / answer.name).write_bytes(answer.read_bytes())
    program = node.root / "etcd" / "etcdctl"
    program.unlink()
    program.write_text(ETCDCTL)
    program.chmod(0o755)
    return node
