"""Knows where everything lies below OUT, and every limit in one place."""

import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds, rates as (per second, burst)."""

    header: int = 16 * 1024
    body: int = 16 * 1024
    report_body: int = 32 * 1024
    log_tail: int = 8 * 1024
    first_request: float = 10.0
    body_time: float = 10.0
    manifest: int = 64 * 1024
    blob: int = 16 * 1024**3
    blob_pause: float = 60.0
    uploads: int = 4
    idle: float = 75.0
    longest_wait: float = 25.0
    connections: int = 4096
    connections_per_peer: int = 1024
    requests_in_flight: int = 1024
    peer_rate: tuple[float, float] = (200.0, 400.0)
    all_rate: tuple[float, float] = (2000.0, 4000.0)
    node_rate: tuple[float, float] = (10.0, 60.0)
    enrol_rate: tuple[float, float] = (10.0 / 60.0, 20.0)
    stop_time: int = 3


SLOT_LEASE = 600.0
TOKEN_LIFE = 1800.0
TOKEN_SPARE = 300.0
SERVER_DAYS = 30
BACKDATE = 3600.0
CA_BACKDATE = 86400.0


@dataclass(frozen=True, slots=True)
class Listen:
    """A TCP listener's address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_local(text: str) -> Listen:
    """As `parse_listen`, but an address of this machine alone."""
    listen = parse_listen(text)
    if listen.host not in {"127.0.0.1", "::1"}:
        raise ValueError(
            f"{text!r} would show the cluster to the network without asking who looks: write 127.0.0.1:{listen.port},"
            " and reach it with `ssh -L` or through a web server that asks for a password"
        )
    return listen


def parse_listen(text: str) -> Listen:
    """`HOST:PORT`, `[IPv6]:PORT` or `:PORT` for all addresses; ValueError says what to write."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 <= int(port) <= 65535 or (":" in host and not host.startswith("[")):
        raise ValueError(f"{text!r} is not a listener's address: write HOST:PORT, for example 0.0.0.0:8443")
    return Listen(host.strip("[]") or "0.0.0.0", int(port))  # noqa: S104 - nodes are everywhere


@dataclass(frozen=True, slots=True)
class EtcdAddress:
    """Where a shared store is: etcd's client URLs, and the prefix of its keys (empty: /kubeseed/CLUSTER)."""

    endpoints: tuple[str, ...]
    prefix: str = ""


def parse_store(text: str) -> Path | EtcdAddress:
    """`sqlite:PATH` or `etcd:https://HOST:PORT[,https://HOST:PORT...][/PREFIX]`; ValueError says what to write."""
    kind, _, rest = text.partition(":")
    if kind == "sqlite" and rest:
        return Path(rest)
    found = re.fullmatch(rf"({_ETCD}(?:,{_ETCD})*)((?:/[A-Za-z0-9._-]+)*)/?", rest)
    if kind != "etcd" or not found:
        raise ValueError(f"{text!r} is not a store: write sqlite:PATH or etcd:https://HOST:PORT,https://HOST:PORT")
    return EtcdAddress(tuple(found.group(1).split(",")), found.group(2))


_ETCD = r"https://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}"


@dataclass(frozen=True, slots=True)
class Out:
    """The folder that `generate` wrote, and the state that the coordinator keeps in it."""

    root: Path
    other_store: Path | EtcdAddress | None = None

    @property
    def inventory(self) -> Path:
        return self.root / "coordinator" / "inventory.json"

    @property
    def files(self) -> Path:
        return self.root / "coordinator" / "files"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def root_certificate(self) -> Path:
        return self.secrets / "root.crt"

    @property
    def root_key(self) -> Path:
        return self.secrets / "root.key"

    @property
    def trusted_roots(self) -> Path:
        """What nodes know the coordinator by: the certificate of the root, and of a second one while it is renewed."""
        return self.pxe / "ca.crt"

    @property
    def pxe(self) -> Path:
        return self.root / "pxe"

    @property
    def public_seeds(self) -> Path:
        return self.root / "pxe" / "seed"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def store(self) -> Path:
        return self.other_store if isinstance(self.other_store, Path) else self.state / "coordinator.db"

    @property
    def etcd(self) -> EtcdAddress | None:
        return self.other_store if isinstance(self.other_store, EtcdAddress) else None

    @property
    def etcd_files(self) -> Path:
        return self.state / "etcd"

    @property
    def keyring_key(self) -> Path:
        return self.state / "keyring.key"

    @property
    def audit_head(self) -> Path:
        return self.state / "audit.head"

    @property
    def pushed(self) -> Path:
        return self.state / "pushed"

    @property
    def backups(self) -> Path:
        return self.state / "backups"

    @property
    def restore_order(self) -> Path:
        return self.state / "restore.json"

    @property
    def metrics(self) -> Path:
        """Where several processes count together."""
        return self.state / "metrics"

    @property
    def socket(self) -> Path:
        return self.state / "admin.sock"


@dataclass(frozen=True, slots=True)
class Settings:
    """What `serve` was told. Without an address the inventory decides the TLS listener."""

    out: Out
    listen: Listen | None = None
    boot_listen: Listen = Listen("0.0.0.0", 8080)  # noqa: S104 - machines that boot are everywhere
    json_log: bool = False
    images: Path = Path("/var/lib/kubeseed/images")
    tftp: Path = Path("/var/lib/kubeseed/tftp")
    ui_listen: Listen | None = None
    limits: Limits = field(default_factory=Limits)
    workers: int = 1
