"""Knows a site whose machines boot over the network: coordinator, boot server, images, and machines on a bridge."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.lab.command import LabError
from tests.lab.namespace import HOST, namespace
from tests.lab.plugin import keep_logs
from tests.lab.run import Run
from tests.lab.service import Service
from tests.lab.site import Site
from tests.lab.wait import until
from tests.pxe.box import Box

# SHA-512 crypt of nothing anybody uses.
PASSWORD_HASH = "$6$canary0canary0$Hn4.kubeseedHashCanary.kubeseedHashCanary.kubeseedHashCanary.kubeseedHashCanary"
MAC = "52:54:00:00:00:{:02d}"
SPEC = """
apiVersion: kubeseed/v1
kind: Cluster
metadata: {{name: lab}}
coordinator: {{url: "https://{host}:8443", bootUrl: "http://{host}:8080"}}
etcd: {{topology: stacked}}
bootstrap: {{skipStages: [clock, engine, packages, load-balancer, etcd, init, join, verify, addons, backup]}}
pxe: {{interface: br0, tftpRoot: {tftp}, {pxe}}}
defaults:
  checkResources: false
  users: [{{name: ops, passwordHash: "{hash}"}}]
  network: {{gateway: {host}, nameservers: [{host}], prefix: 24}}
  pxe: {{kernelArguments: [console=tty0, "console=ttyS0,115200"]}}
nodes:
- {{name: m1, roles: [master], address: 192.168.77.11, mac: "52:54:00:00:00:11"{m1}}}
{workers}
"""
WORKER = '- {{name: w{number}, roles: [worker], address: 192.168.77.{last}, mac: "52:54:00:00:00:{last}"{more}}}'
# Of what tells the machine with a card from others.
UUID, SERIAL = "6f3c1e7a-0000-4000-8000-0000000000{:02d}", "SN{:02d}"


@dataclass(slots=True, kw_only=True)
class Place(Site):
    """A site that boots machines. `images` is a store of `kubeseed image`; dnsmasq's own user can enter `tftp`."""

    images: Path
    tftp: Path
    boot_server: Service | None = None
    boxes: list[Box] = field(default_factory=list)

    def spec(self, pxe: str = "mode: dhcp", *, workers: int = 1, **nodes: str) -> str:
        """The master m1 and the workers w1 to w9, with cards 11 and 21 to 29; `nodes` are further keys of theirs."""
        more = {name: f", {keys}" for name, keys in nodes.items()}
        lines = [
            WORKER.format(number=number, last=20 + number, more=more.get(f"w{number}", ""))
            for number in range(1, workers + 1)
        ]
        return SPEC.format(
            hash=PASSWORD_HASH, host=HOST, tftp=self.tftp, pxe=pxe, m1=more.get("m1", ""), workers="\n".join(lines)
        )

    def serve(self) -> Service:
        """Starts the coordinator with this place's images."""
        listen = ["--listen", f"{HOST}:8443", "--boot-listen", f"{HOST}:8080"]
        folders = ["--images", str(self.images), "--tftp", str(self.tftp)]
        command: list[str | Path] = [self.kubeseed, "serve", self.out, *listen, *folders]
        self.coordinator = self.network.start(command, self.folder / "coordinator.log")
        until("the coordinator answers", self._answered, 60)
        return self.coordinator

    @property
    def logs(self) -> list[str | Path]:
        """The options with which the doctor finds the logs of this place."""
        return ["--dnsmasq-log", self.folder / "pxe.log", "--coordinator-log", self.folder / "coordinator.log"]

    def _answered(self) -> bool:
        try:
            return bool(self.status())
        except LabError:
            return False

    def answer_dhcp(self) -> Service:
        """Starts `kubeseed pxe run`."""
        log = self.folder / "pxe.log"
        self.boot_server = self.network.start([self.kubeseed, "pxe", "run", self.out], log)
        until("dnsmasq runs", lambda: "TFTP root is" in log.read_text(), 60)
        return self.boot_server

    def box(self, name: str, number: int, **changes: Any) -> Box:
        """A machine with the card of this number."""
        marks = {"mac": MAC.format(number), "uuid": UUID.format(number), "serial": SERIAL.format(number)}
        made = Box(self.network, self.folder / name, **{**marks, **changes})
        self.boxes.append(made)
        return made

    def approve(self, node: str, seconds: float) -> None:
        """What an operator does: waits for the node, compares its fingerprint with the console, types the command."""
        until(f"{node} asks for approval", lambda: self.node(node)["state"] == "pending", seconds, interval=2)
        fingerprint = self.node(node)["fingerprint"]
        until("a console shows it", lambda: any(fingerprint in box.console for box in self.boxes), 60)
        self.command("approve", self.out, node, fingerprint)

    def boot_state(self, node: str) -> str:
        """How far the installation of the node is."""
        boot = self.node(node)["boot"]
        return str(boot["state"]) if boot else ""


@contextmanager
def place(run: Run, kubeseed: Path, name: str, images: Path = Path("/nonexistent")) -> Iterator[Place]:
    """A new place; everything in it is off at the end of the block, and its logs are kept."""
    folder = run.folder / f"pxe-{name}"
    folder.mkdir()
    with namespace(run, f"pxe-{name}") as network, TemporaryDirectory(prefix="kubeseed-tftp-") as tftp:
        Path(tftp).chmod(0o755)
        made = Place(kubeseed, network, folder, images=images, tftp=Path(tftp))
        try:
            yield made
        finally:
            for box in made.boxes:
                box.power_off()
            for service in (made.boot_server, made.coordinator):
                if service:
                    service.stop()
            keep_logs(folder, f"pxe-{name}")
