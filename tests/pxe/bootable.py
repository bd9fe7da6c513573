"""A coordinator whose nodes boot over the network, and machines that ask it as iPXE and the installer do."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.http.outfolder import OutFolder
from tests.http.process import Coordinator, free_port, fresh_out

UUID = "6f3c1e7a-0000-4000-8000-0000000000{:02d}"
PARTS = {part: f"the {part}".encode() * 1000 for part in ("disk", "kernel", "initrd", "squashfs")}
RAW = hashlib.sha256(b"raw").hexdigest()


def digest_of(part: str) -> str:
    return hashlib.sha256(PARTS[part]).hexdigest()


def write_images(folder: Path, names: tuple[str, ...] = ("debian-12",)) -> None:
    """A store of images as `kubeseed image` writes it, with small files."""
    (folder / "blob").mkdir(parents=True, exist_ok=True)
    for data in PARTS.values():
        (folder / "blob" / hashlib.sha256(data).hexdigest()).write_bytes(data)
    blobs = {part: {"sha256": digest_of(part), "size": len(data)} for part, data in PARTS.items()}
    disk = {"blob": blobs.pop("disk"), "format": "zstd", "raw": {"sha256": RAW, "size": 4096}}
    about = {"arch": "amd64", "source": "a test", "made": 1, "installer": ""}
    images = {name: {"name": name, **about, "disk": disk, **blobs} for name in names}
    (folder / "index.json").write_text(json.dumps({"format": 1, "images": images}))


def make_bootable(out: OutFolder, **deploys: str) -> None:
    """Every node boots over the network and gets `image`, or what `deploys` says."""
    scripts = out.root / "pxe" / "ipxe"
    scripts.mkdir(parents=True)
    (out.root / "pxe" / "boot.ipxe").write_text("#!ipxe\n# entry\n")
    for name in ("_local", "_refused", "_unknown", *out.inventory["nodes"]):
        (scripts / f"{name}.ipxe").write_text(f"# script {name}\n")
    for number, (name, node) in enumerate(out.inventory["nodes"].items(), start=11):
        node["macs"] = [f"52:54:00:00:00:{number}"]
        node["boot"] = {"deploy": deploys.get(name, "image"), "image": "debian-12"}


@dataclass
class Booting:
    """A machine at the moment when its firmware runs iPXE."""

    coordinator: Coordinator
    mac: str
    uuid: str = ""
    serial: str = ""
    values: dict[str, str] = field(default_factory=dict)

    def ask(self, **changes: str) -> str:
        """The boot script's kind: the name of the script that was appended. `values` are those set before it."""
        answer = self.request(**changes)
        assert answer.status_code == 200, answer.text
        assert answer.text.startswith("#!ipxe\n")
        self.values = dict(re.findall(r"^set kubeseed-([a-z]+) (.*)$", answer.text, re.MULTILINE))
        return str(re.findall(r"^# script (\S+)$", answer.text, re.MULTILINE)[0])

    def request(self, **changes: str) -> httpx.Response:
        question = {"mac": self.mac.replace(":", "-"), "uuid": self.uuid, "serial": self.serial, **changes}
        with self.coordinator.boot() as client:
            return client.get("/boot/script", params={"arch": "i386", "platform": "pcbios", **question})

    def report(self, node: str, state: str, cause: str = "", run: str = "") -> httpx.Response:
        form = {"node": node, "run": run or self.values["run"], "state": state, "cause": cause}
        with self.coordinator.boot() as client:
            return client.post("/boot/report", data=form)

    def install(self, node: str) -> None:
        """Boots, is installed, and says so."""
        assert self.ask() == node
        assert self.report(node, "started").status_code == 200
        assert self.report(node, "installed").status_code == 200


@contextmanager
def bootable(folder: Path, **deploys: str) -> Iterator[Coordinator]:
    """A coordinator with images and boot scripts; nodes as in tests/http/outfolder.py."""
    coordinator = Coordinator(fresh_out(folder, port := free_port()), port, free_port())
    make_bootable(coordinator.out, **deploys)
    coordinator.out.write_inventory()
    write_images(folder / "images")
    coordinator.start()
    try:
        yield coordinator
    finally:
        coordinator.kill()


def machine(coordinator: Coordinator, number: int, **changes: Any) -> Booting:
    """The machine whose card `make_bootable` gives to a node: 11 is m1, 14 is w1, 15 is w2."""
    marks = {"mac": f"52:54:00:00:00:{number}", "uuid": UUID.format(number), "serial": f"SN{number}"}
    return Booting(coordinator, **{**marks, **changes})
