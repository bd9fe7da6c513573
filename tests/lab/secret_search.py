"""Knows where secrets were planted and where they must not be found: logs, arguments, files that anybody may read."""

import base64
import json
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lab.command import run

# On a node; docs/node.md names them.
CREDENTIAL = "etc/kubeseed/credential"
ENCRYPTION = "etc/kubernetes/encryption.yaml"
_PEM_LINE = 64


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret where it must not be."""

    secret: str
    place: str

    def __str__(self) -> str:
        return f"{self.secret} in {self.place}"


def secrets_of_out(out: Path) -> dict[str, bytes]:
    """What the generator and the coordinator keep: enrolment secrets, the root's key, the keyring's."""
    kept = json.loads((out / "secrets/enrolments.json").read_text())
    found = {f"enrolment secret of {name}": entry["secret"].encode() for name, entry in kept["nodes"].items()}
    found["password of keepalived"] = kept["keepalivedPassword"].encode()
    for path in [*out.glob("secrets/*.key"), *out.glob("state/*.key")]:
        found |= _lines(f"{path.parent.name}/{path.name}", path.read_bytes())
    return found


def secrets_of_node(node: str, root: Path) -> dict[str, bytes]:
    """What a node keeps: its credential, every private key, the encryption key."""
    found: dict[str, bytes] = {}
    credential = root / CREDENTIAL
    if credential.exists():
        found[f"credential of {node}"] = credential.read_bytes().strip()
    for path in (root / "etc").rglob("*.key"):
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes():
            found |= _lines(f"{node}:/{path.relative_to(root)}", path.read_bytes())
    if (root / ENCRYPTION).exists():
        keys = [line.split()[-1] for line in (root / ENCRYPTION).read_text().splitlines() if "secret:" in line]
        found |= {f"encryption key {number} of {node}": key.encode() for number, key in enumerate(keys)}
    return found


def _lines(name: str, data: bytes) -> dict[str, bytes]:
    """A PEM key by its full lines and as base64, which is how a kubeconfig carries it; anything else by its bytes."""
    if b"-----BEGIN" not in data:
        return {name: data.strip()}
    lines = [line for line in data.splitlines() if len(line) == _PEM_LINE]
    found = {f"{name}, line {number}": line for number, line in enumerate(lines)}
    found[f"{name}, as base64"] = base64.b64encode(data)[120:180]
    return found


def search_readable(root: Path, secrets: Mapping[str, bytes], scratch: Path) -> list[Finding]:
    """Secrets in files below `root` that any user of the machine may read."""
    return [finding for path, finding in _search([root], secrets, scratch) if _readable(path, root)]


def search_all(places: Iterable[Path], secrets: Mapping[str, bytes], scratch: Path) -> list[Finding]:
    """Secrets in any file of these places, whatever its mode: logs and public trees."""
    return [finding for _, finding in _search([path for path in places if path.exists()], secrets, scratch)]


def search_words(words: Iterable[bytes], secrets: Mapping[str, bytes]) -> list[Finding]:
    """Secrets in arguments and environments."""
    return [
        Finding(name, f"arguments or environment of {text.split(bytes(1))[0].decode(errors='replace')}")
        for text in words
        for name, secret in secrets.items()
        if secret in text
    ]


def _search(places: list[Path], secrets: Mapping[str, bytes], scratch: Path) -> Iterator[tuple[Path, Finding]]:
    """grep finds the files, at the disk's speed; the few that it names are looked at again."""
    needles = scratch / "needles"
    needles.touch(mode=0o600)
    needles.write_bytes(b"\n".join(secrets.values()) + b"\n")
    # 1: nothing was found.
    search = 'grep -rlaZF --devices=skip -f "$0" -- "$@" || [ $? -eq 1 ]'
    told = run(["sh", "-c", search, needles, *places], timeout=600)
    needles.unlink()
    for name in told.split("\0"):
        data = Path(name).read_bytes() if name else b""
        yield from ((Path(name), Finding(label, name)) for label, secret in secrets.items() if secret in data)


def _readable(path: Path, root: Path) -> bool:
    """Whether others may read the file and enter every folder above it."""
    folders = [folder for folder in path.parents if folder != root and root in folder.parents]
    enterable = all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)
    return enterable and bool(path.stat().st_mode & stat.S_IROTH)
