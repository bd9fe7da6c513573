"""Fifty machines boot at once: none goes without, and it takes not much longer than nginx alone would."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from generator.image.store import measure
from tests.lab.namespace import HOST
from tests.lab.run import Run
from tests.lab.service import Service
from tests.lab.wait import until
from tests.pxe.place import Place, place
from tests.pxe.rack import boot_all, fetch_all, make_boot_files

MACHINES = 50
NGINX = """daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; server {{ listen {host}:8090; root {blobs}; }} }}
"""


@dataclass(frozen=True, slots=True)
class Rack:
    """A site with fifty nodes."""

    site: Place
    digests: tuple[str, ...]

    @property
    def program(self) -> str:
        """The digest of what TFTP serves."""
        return measure(self.site.tftp / "undionly.kpxe").sha256


@contextmanager
def rack(run: Run, kubeseed: Path, name: str) -> Iterator[Rack]:
    store = run.folder / f"{name}-images"
    digests = make_boot_files(kubeseed, store, run.folder / f"{name}-files")
    with place(run, kubeseed, name, store) as site:
        site.generate(site.spec(workers=MACHINES).replace("  pxe: {", "  pxe: {deploy: installer, image: rack, "))
        site.serve()
        site.answer_dhcp()
        yield Rack(site, digests)


@pytest.mark.vm
def test_fifty_machines_boot_at_once(lab: Run, kubeseed: Path) -> None:
    with rack(lab, kubeseed, "rack") as made:
        outcome = boot_all(made.site.network, made.program, range(21, 21 + MACHINES))
        assert outcome.failed == ()
        nodes = made.site.look()["nodes"]
        assert (
            sum(node["boot"] is not None and node["boot"]["state"] == "offered" for node in nodes.values()) == MACHINES
        )


@pytest.mark.bench
def test_as_fast_as_nginx(lab: Run, kubeseed: Path) -> None:
    with rack(lab, kubeseed, "rack-bench") as made, nginx(made.site) as server:
        yardstick = [fetch_all(made.site.network, server, made.digests, MACHINES)]
        ours = boot_all(made.site.network, made.program, range(21, 21 + MACHINES))
        files = fetch_all(made.site.network, f"{HOST}:8080/assets", made.digests, MACHINES)
        yardstick.append(fetch_all(made.site.network, server, made.digests, MACHINES))
        assert (ours.failed, files.failed) == ((), ())
        assert [each.failed for each in yardstick] == [(), ()]
        speeds = " and ".join(f"{each.speed:.0f} MB/s" for each in yardstick)
        words = (
            f"whole boots {ours.speed:.0f} MB/s, files alone {files.speed:.0f} MB/s; nginx before and after {speeds}"
        )
        print(f"{MACHINES} machines, 30 MB each, at once: {words}")  # noqa: T201 - this is what a measurement is for


@contextmanager
def nginx(site: Place) -> Iterator[str]:
    """nginx with the same files: where it listens."""
    conf = site.folder / "nginx.conf"
    conf.write_text(NGINX.format(folder=site.folder, host=HOST, blobs=site.images / "blob"))
    log = site.folder / "nginx.log"
    service: Service = site.network.start(["nginx", "-c", conf, "-g", "user root;"], log)
    with service:
        until("nginx listens", lambda: (site.folder / "nginx.pid").exists(), 30)
        yield f"{HOST}:8090"
