"""Knows how many inotify instances container nodes want: they share this host's limit of them (inotify(7))."""

from pathlib import Path

LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
# Counted on a node with kubelet, engine and kube-proxy: 14. The kernel's own limit, 128, is enough for nine nodes; on
# the tenth kubelets die with "inotify_init: too many open files".
OF_A_NODE = 14
ROOM = 8192


def make_room(limit: Path = LIMIT) -> str:
    """Raises a limit below ROOM, until this host starts again; what a person is told of that, or nothing.

    The kernel counts what is open, so a higher limit costs nothing.
    """
    found = int(limit.read_text(encoding="ascii"))
    if found >= ROOM:
        return ""
    try:
        limit.write_text(f"{ROOM}\n", encoding="ascii")
    except OSError as error:
        few = found // OF_A_NODE
        return (
            f"fs.inotify.max_user_instances is {found}, enough for {few} nodes, and cannot be raised: {error.strerror}"
        )
    return f"fs.inotify.max_user_instances was {found}, enough for {found // OF_A_NODE} nodes; it is {ROOM} now"
