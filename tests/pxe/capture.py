"""Knows what went over the wire: all of it but HTTPS, by tcpdump, put together again by tcpflow."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.command import run
from tests.lab.namespace import BRIDGE, Namespace
from tests.lab.secret_search import Finding, search_all
from tests.lab.wait import until


@dataclass(frozen=True, slots=True)
class Capture:
    """The packets of a block. Its searches work once the block is over."""

    folder: Path

    @property
    def packets(self) -> Path:
        return self.folder / "packets.pcap"

    def search(self, needles: Mapping[str, bytes], scratch: Path) -> list[Finding]:
        """Where one of these is in a packet (DHCP, TFTP) or in a TCP stream, whole or cut by packets."""
        streams = self.folder / "streams"
        if not streams.exists():
            streams.mkdir()
            run(["tcpflow", "-q", "-r", self.packets, "-o", streams, "-X", "/dev/null"], timeout=600)
        return search_all([self.packets, streams], needles, scratch)


@contextmanager
def captured(network: Namespace, folder: Path) -> Iterator[Capture]:
    """Everything on the bridge; AssertionError when the kernel had to drop packets, which nobody could search."""
    folder.mkdir()
    made = Capture(folder)
    log = folder / "tcpdump.log"
    command = ["tcpdump", "-i", BRIDGE, "-Z", "root", "-B", "65536", "-s", "0", "-w", str(made.packets)]
    with network.start([*command, "not", "port", "8443"], log):
        until("tcpdump listens", lambda: "listening on" in log.read_text(), 30)
        yield made
    dropped = re.search(r"(\d+) packets dropped by kernel", log.read_text())
    assert dropped, log.read_text()
    assert dropped[1] == "0", log.read_text()
