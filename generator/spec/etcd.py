"""Knows section `etcd`: where the cluster's state lives and how it is saved."""

import re
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from generator.spec.field import AbsolutePath, Integer, Parsed, Section
from generator.value import InvalidValueError

_CERTIFICATE = re.compile(r"\s*-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\s*")


def _parse_certificate(text: str) -> str:
    """One PEM certificate. What was given is never quoted: it may be the private key, pasted by mistake."""
    if _CERTIFICATE.fullmatch(text) is None:
        raise InvalidValueError("this is not one PEM certificate", "paste the file that starts with BEGIN CERTIFICATE")
    return text.strip() + "\n"


Certificate = Annotated[
    str, Parsed(_parse_certificate, pattern="^\\s*-----BEGIN CERTIFICATE-----", what="PEM certificate")
]


class EtcdTopology(StrEnum):
    """kubeadm's two topologies."""

    EXTERNAL = "external"
    STACKED = "stacked"


class BackupScheduler(StrEnum):
    """What looks every quarter of an hour whether a backup is due."""

    TIMER = "timer"
    CRON = "cron"


class BackupUpload(StrEnum):
    """Where each copy goes besides the node that took it."""

    NONE = "none"
    COORDINATOR = "coordinator"


def _null_is_none(given: object) -> object:
    return BackupUpload.NONE if given is None else given


class EtcdBackup(Section):
    """Copies of etcd and of the cluster's keys, taken by one healthy etcd member at a time."""

    scheduler: BackupScheduler = Field(BackupScheduler.TIMER, description="timer: a systemd timer. cron: /etc/cron.d.")
    hour: Integer = Field(3, ge=0, le=23, description="Hour of the (first) backup of a day, in the node's time zone.")
    interval_hours: Literal[1, 2, 3, 4, 6, 8, 12, 24] = Field(24, description="Hours from one backup to the next.")
    keep_days: Integer = Field(
        7, ge=1, le=3650, description="Days that a copy is kept; the newest three verified ones always stay."
    )
    directory: AbsolutePath = Field("/var/backups/etcd", description="Folder on the node, mode 0700.")
    encrypt_to: Certificate | None = Field(
        None, description="PEM certificate to encrypt every copy to. Its private key stays with you, never on a node."
    )
    upload: Annotated[BackupUpload, BeforeValidator(_null_is_none)] = Field(
        BackupUpload.COORDINATOR,
        description="coordinator: a copy counts once the coordinator has read it back. none: copies stay on the node.",
    )
    hook: AbsolutePath | None = Field(
        None, description="Program on the node that stores copies elsewhere and reads them back; see docs/backup.md."
    )


class Etcd(Section):
    """Where the cluster's state lives."""

    topology: EtcdTopology = Field(
        EtcdTopology.EXTERNAL,
        description="external: a static member on each node of role etcd. stacked: kubeadm runs one on each master.",
    )
    data_dir: AbsolutePath = Field("/var/lib/etcd", description="etcd's data on the node.")
    backup: EtcdBackup = Field(EtcdBackup(), description="Copies of etcd and of the cluster's keys.")
