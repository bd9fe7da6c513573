"""Knows section `bootstrap`: the stages of a node's first boot and how a node proves itself to kubeadm."""

from enum import StrEnum

from pydantic import Field

from generator.spec.field import Section


class Stage(StrEnum):
    """The stages of a node's first boot, in their order (docs/node.md)."""

    PREFLIGHT = "preflight"
    CLOCK = "clock"
    KERNEL = "kernel"
    ENROL = "enrol"
    FILES = "files"
    BASE = "base"
    ENGINE = "engine"
    PACKAGES = "packages"
    LOAD_BALANCER = "load-balancer"
    ETCD = "etcd"
    PKI = "pki"
    INIT = "init"
    JOIN = "join"
    VERIFY = "verify"
    ADDONS = "addons"
    BACKUP = "backup"
    SCRUB = "scrub"


UNSKIPPABLE = (Stage.PREFLIGHT, Stage.ENROL, Stage.FILES, Stage.SCRUB)


class JoinMode(StrEnum):
    """What `GET /v1/join` hands to a node."""

    TOKEN = "token"  # noqa: S105 - the name of a mode
    CERTIFICATE = "certificate"


class Bootstrap(Section):
    """How a machine turns itself into a node at first boot."""

    skip_stages: tuple[str, ...] = Field(
        (),
        description="Stages that every node reports as skipped, for images that already hold the engine or Kubernetes. "
        f"{', '.join(UNSKIPPABLE)} cannot be skipped.",
    )
    join: JoinMode = Field(
        JoinMode.TOKEN,
        description="What a joining node is given: a bootstrap token of its own, valid for 30 minutes, or a kubelet "
        "client certificate signed by the coordinator.",
    )
