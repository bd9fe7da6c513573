"""Knows where a machine gets its seed from: the folder that `generate` wrote, or a URL of the coordinator."""

from dataclasses import dataclass
from pathlib import Path

from generator.iso import FILES


@dataclass(frozen=True, slots=True)
class LocalSeed:
    """OUT/nodes/NODE, handed over on the machine's own disk; it may hold the enrolment's secret."""

    folder: Path

    def files(self) -> dict[str, bytes]:
        """The NoCloud files that are there."""
        return {name: (self.folder / name).read_bytes() for name in FILES if (self.folder / name).is_file()}


@dataclass(frozen=True, slots=True)
class UrlSeed:
    """A NoCloud URL that ends with a slash; what it serves holds no secret."""

    url: str

    @property
    def datasource(self) -> str:
        """What cloud-init reads on the kernel's command line and in the firmware's serial number.

        `ds=nocloud` alone takes no URL before cloud-init 24.1: it is found there, and then left for the local stage.
        """
        return f"ds=nocloud-net;s={self.url}"


Seed = LocalSeed | UrlSeed
