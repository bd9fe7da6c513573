"""A service manager for nodes without one: `systemctl` stops the member itself, the test starts it again."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.backup.etcd import Cluster
from tests.backup.node import Node

# The node's service manager: it stops the member by itself, and asks the test to start it, whose child it is.
SYSTEMCTL = """
case "$*" in
'stop kubeseed-etcd') kill -9 "$(cat /etcd.pid)"; rm -f /start ;;
'start --no-block kubeseed-etcd') : >/start ;;
*) echo "$*" >>/systemctl.calls ;;
esac
"""


@contextmanager
def managed(nodes: list[Node], cluster: Cluster) -> Iterator[None]:
    """Starts a member when its node says so, as systemd would."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            for node in nodes:
                if (node.root / "start").exists():
                    (node.root / "start").unlink()
                    node.member.stop()
                    node.member.start(cluster.initial)

    for node in nodes:
        node.shim("systemctl", SYSTEMCTL)
        if node.member.process:
            (node.root / "etcd.pid").write_text(str(node.member.process.pid))
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
