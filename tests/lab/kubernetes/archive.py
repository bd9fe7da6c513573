"""Knows how programs become a container image: a docker archive of one layer, the same bytes from the same programs."""

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

ENVIRONMENT = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]


def write_archive(target: Path, tags: Sequence[str], files: Mapping[str, Path], entry: Sequence[str] = ()) -> None:
    """Writes an archive that `ctr images import` and `docker load` take; `files` is path in the image -> file here."""
    layer = _layer(files)
    digest = hashlib.sha256(layer).hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": list(entry) or None, "Env": ENVIRONMENT},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": "kubeseed lab"}],
    }
    text = json.dumps(config).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": list(tags), "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(target, "w") as archive:
        for path, data in (
            (name, text),
            (f"{digest}/layer.tar", layer),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            _add(archive, path, data, 0o644)


def with_libraries(root: Path, programs: Iterable[str]) -> dict[str, Path]:
    """The programs of a root file system and the libraries that the loader there finds for them."""
    found = {}
    for program in programs:
        found[program] = root / program.lstrip("/")
        told = subprocess.run(["chroot", str(root), "ldd", program], capture_output=True, text=True, check=False).stdout
        for word in told.split():
            if word.startswith("/"):
                found[word] = root / word.lstrip("/")
    return {path: _inside(root, file) for path, file in found.items()}


def _inside(root: Path, file: Path) -> Path:
    """The file that a path of the root file system means, following links as they are seen from inside."""
    relative = Path("/") / file.relative_to(root)
    told = subprocess.run(
        ["chroot", str(root), "readlink", "-f", str(relative)], capture_output=True, text=True, check=True
    )
    return root / told.stdout.strip().lstrip("/")


def _layer(files: Mapping[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for folder in sorted(_folders(files)):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            layer.addfile(info)
        for path, file in sorted(files.items()):
            _add(layer, path.lstrip("/"), file.read_bytes(), 0o755)
    return buffer.getvalue()


def _folders(files: Iterable[str]) -> set[str]:
    """Every folder above the files, and those that programs expect anywhere."""
    parents = {str(parent).lstrip("/") for path in files for parent in PurePosixPath("/", path.lstrip("/")).parents}
    return (parents | {"tmp", "run", "etc", "var"}) - {""}


def _add(archive: tarfile.TarFile, path: str, data: bytes, mode: int) -> None:
    info = tarfile.TarInfo(path)
    info.size, info.mode = len(data), mode
    archive.addfile(info, io.BytesIO(data))
