"""Knows the manifest of a backup (docs/backup.md), as a node writes it: parsed strictly, then frozen."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from http_server.inventory import Digest, Name, Strict

ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
PLAIN = frozenset({"config.tar.gz", "snapshot.db"})
SEALED = frozenset({"config.tar.gz.enc", "key.cms", "snapshot.db.enc"})
# The coordinator's store, sealed by itself; missing when the coordinator was away.
STORE = "store.sealed"


def _check_id(text: str) -> str:
    if not ID.fullmatch(text):
        raise ValueError("not the id of a backup, like 20300131T030000Z-m1")
    return text


def _check_plain(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9 .:,=_/\[\]-]*", text):
        raise ValueError("unexpected characters")
    return text


BackupId = Annotated[str, AfterValidator(_check_id)]
Text = Annotated[str, Field(max_length=4096), AfterValidator(_check_plain)]
Count = Annotated[int, Field(ge=0, lt=2**63)]


class File(Strict):
    """One file of a backup."""

    name: Literal["config.tar.gz", "config.tar.gz.enc", "key.cms", "snapshot.db", "snapshot.db.enc", "store.sealed"]
    bytes: Annotated[int, Field(gt=0, lt=2**53)]
    sha256: Digest


class Manifest(Strict):
    """What a backup is of, and the digests of its files. `etcdCa` is the SHA-256 of the etcd CA's public key (SPKI)."""

    format: Literal[1]
    id: BackupId
    cluster: Name
    etcdCa: Digest  # noqa: N815 - the manifest's spelling, as all of these
    etcdClusterId: Text  # noqa: N815
    memberId: Text  # noqa: N815
    node: Name
    initialCluster: Text  # noqa: N815
    etcdVersion: Text  # noqa: N815
    kubernetesVersion: Text  # noqa: N815
    encryptedTo: Digest | Literal[""]  # noqa: N815
    snapshotSha256: Digest  # noqa: N815
    seconds: Count
    revision: Annotated[int, Field(gt=0, lt=2**63)]
    totalKey: Annotated[int, Field(gt=0, lt=2**63)]  # noqa: N815
    hash: Count
    snapshotBytes: Count  # noqa: N815
    files: tuple[File, ...] = Field(strict=False)

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        wanted, names = SEALED if self.encryptedTo else PLAIN, [file.name for file in self.files]
        if len(set(names)) != len(names) or set(names) - {STORE} != wanted:
            raise ValueError(f"files: {', '.join(sorted(wanted))} are wanted, each once, and {STORE} may be there")
        if not self.id.endswith(f"Z-{self.node}"):
            raise ValueError("id and node do not agree")
        return self

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)


class ManifestError(ValueError):
    """Not a manifest: every problem, one per line."""


def parse_manifest(data: bytes) -> Manifest:
    """The manifest in these JSON bytes, or all that is wrong with them. What was given is not quoted."""
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        lines = (f"{'.'.join(map(str, each['loc'])) or 'manifest'}: {each['msg']}" for each in error.errors())
        raise ManifestError("; ".join(lines)) from None
