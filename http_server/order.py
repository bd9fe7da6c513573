"""Knows the order to restore a backup: what every member must do, who has done it, and when it is void."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from http_server.inventory import Name, Strict
from http_server.manifest import BackupId, Text
from http_server.private_file import FILE, replace_private

# An order that is forgotten must not undo the work of weeks in a cluster that lives.
VALID_SECONDS = 86400.0


class Order(Strict):
    """A restore that is armed. `sealedKey` is the key of an encrypted backup's files, sealed by the keyring (hex).

    `reinstalled`: the masters are blank, and with etcd stacked on them only the first one restores; the others join.
    Such an order does not grow old: without it the first master would make an empty cluster.
    """

    backup: BackupId
    attempt: Annotated[int, Field(gt=0)]
    force: bool
    reinstalled: bool = False
    members: Text
    sealedKey: Annotated[str, Field(pattern=r"^[0-9a-f]*$")]  # noqa: N815
    epoch: Annotated[int, Field(gt=0)]
    at: float
    done: tuple[Name, ...] = Field(default=(), strict=False)

    def open_for(self, node: str, now: float) -> bool:
        """Whether this node has to restore. A second time would give the cluster a member that forgot its votes."""
        return node not in self.done and (self.reinstalled or 0 <= now - self.at < VALID_SECONDS)


class OrderFile:
    """The one order that can be armed, in a private file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else changes the order meanwhile: no thread, and no other worker process (flock(2))."""
        path = self._path.with_suffix(".lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def read(self) -> Order | None:
        """The armed order; None when there is none, or the file is not one."""
        try:
            return Order.model_validate_json(self._path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def write(self, order: Order) -> None:
        """Arms it."""
        replace_private(self._path, order.model_dump_json().encode())

    def remove(self) -> None:
        """Disarms."""
        self._path.unlink(missing_ok=True)
