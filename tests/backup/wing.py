"""Three nodes, the etcd members on them, and the coordinator that arms their restore."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.backup.etcd import Cluster
from tests.backup.managed import managed
from tests.backup.node import Node, Outcome
from tests.http.kubernetes import ApiServer
from tests.http.process import Coordinator, Machine


@dataclass(frozen=True)
class Wing:
    """Three nodes with their members, the coordinator that holds their backups, and an API server that is off."""

    coordinator: Coordinator
    cluster: Cluster
    machines: dict[str, Machine]
    api: ApiServer
    nodes: list[Node]

    @property
    def out(self) -> str:
        return str(self.coordinator.out.root)

    def tick(self) -> list[Outcome]:
        """What the timer does on all nodes at once."""
        return self.on_all("backup", "due")

    def on_all(self, program: str, *arguments: str) -> list[Outcome]:
        with managed(self.nodes, self.cluster), ThreadPoolExecutor(3) as pool:
            return list(pool.map(lambda node: node.run(program, *arguments), self.nodes))

    def backup(self) -> str:
        """A backup that the coordinator holds."""
        taker = next(node for node in self.nodes if node.member is self.cluster.turn)
        taker.backup("now")
        return taker.ids()[-1]

    def armed(self) -> dict[str, object]:
        found: dict[str, object] = self.coordinator.status()["restore"]
        return found


def write_later(cluster: Cluster) -> None:
    """Keys that no backup of the test holds."""
    for number in range(5):
        cluster.members[0].etcdctl("put", f"later-{number}", "x")


def count(cluster: Cluster, prefix: str) -> int:
    return len(cluster.members[2].etcdctl("get", prefix, "--prefix", "--keys-only").split())
