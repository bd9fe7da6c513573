"""Knows the coordinator's own certificates: the server's under the seeds' root, the client's under the cluster's CA.

Both keys are made here, live in memory and are never written to a disk.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

from http_server.clock import Clock
from http_server.errors import StartError
from http_server.inventory import Leaf
from http_server.model import Grant
from http_server.pki import Authority, AuthorityError, certificate_pem, issue, key_pem, load_authority, make_ec_key
from http_server.private_file import in_memory
from http_server.secret import Secret
from http_server.settings import SERVER_DAYS, Out

DAY = 86400.0
CLIENT = Leaf(commonName="kubeseed:coordinator", usages=("clientAuth",), days=1)
# ECDHE with AEAD only (RFC 9325 section 4.2); TLS 1.3's own suites are all of that kind.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its key in one PEM, what to verify the other side with, its begin, and when it is renewed."""

    pem: Secret
    trust: bytes
    serial: int
    begins: float
    renew_at: float

    def due(self, now: float, since: float) -> bool:
        """Whether a new one is needed: half of its life is over, or it was made by a clock that ran ahead."""
        return self.renew_at <= now or since < self.begins


def make_identity(profile: Leaf, epoch: int, authority: Authority, now: float, since: float | None = None) -> Identity:
    """A fresh key and its certificate; renewed at half its life."""
    key = make_ec_key()
    certificate = issue(Grant(epoch, profile), key.public_key(), authority, now, since)
    end = certificate.not_valid_after_utc.timestamp()
    if end <= now:
        raise StartError(
            "the authority of the coordinator's certificate has expired",
            "give the nodes seeds under a new root: kubeseed generate --root next (docs/coordinator.md)",
        )
    pem = Secret(certificate_pem(certificate) + key_pem(key).reveal())
    begin = certificate.not_valid_before_utc.timestamp()
    return Identity(
        pem, certificate_pem(authority.certificate), certificate.serial_number, begin, now + (end - now) / 2
    )


def server_profile(hosts: tuple[str, ...]) -> Leaf:
    """The server's certificate for the hosts of the inventory's URLs."""
    sans = tuple(f"IP:{host}" if _is_address(host) else f"DNS:{host}" for host in hosts)
    return Leaf(commonName="kubeseed-coordinator", sans=sans, usages=("serverAuth",), days=SERVER_DAYS)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def load_root(out: Out) -> Authority:
    """The root under which nodes know the coordinator."""
    try:
        return load_authority(out.root_certificate.read_bytes(), Secret(out.root_key.read_bytes()))
    except FileNotFoundError as error:
        raise StartError(
            f"{error.filename} is missing: the cluster is not generated yet", "kubeseed generate SPEC -o OUT"
        ) from None
    except AuthorityError as error:
        raise StartError(
            f"{out.root_certificate} and {out.root_key}: {error}", "put both back from your backup"
        ) from None


class ServerTls:
    """The TLS listener's context. A renewed certificate goes into the living one: open connections do not notice."""

    def __init__(self, root: Authority, clock: Clock, announce: Callable[[Identity], None]) -> None:
        self._root = root
        self._clock = clock
        self._announce = announce
        self._hosts: tuple[str, ...] = ()
        self._held: Identity | None = None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_ciphers(CIPHERS)
        self.context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
        # A script's next request is another process, which never comes back with a ticket. One is sent all the same: it
        # acknowledges the handshake, for which a client with Nagle's algorithm would else wait 40 ms before it asks.
        self.context.num_tickets = 1

    def keep(self, hosts: tuple[str, ...]) -> None:
        """Makes a new certificate when the hosts changed or the one it has is due."""
        now, since = self._clock.now(), self._clock.since()
        if hosts == self._hosts and self._held and not self._held.due(now, since):
            return
        try:
            fresh = make_identity(server_profile(hosts), 0, self._root, now, since)
        except AuthorityError as error:
            raise StartError(f"the root of the seeds: {error}", "give the nodes seeds under a new root") from None
        self._announce(fresh)
        with in_memory(fresh.pem.reveal()) as path:
            self.context.load_cert_chain(path)
        self._hosts, self._held = hosts, fresh
