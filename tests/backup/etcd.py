"""Real etcd members on loopback addresses of their own, with TLS, as kubeadm would run them."""

import datetime
import ipaddress
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Authority:
    """A CA that lives as long as a test."""

    name: str
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def certificate(self) -> x509.Certificate:
        return self._sign(self.name, self.key, x509.BasicConstraints(ca=True, path_length=None), [])

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_pair(folder / "ca", self.certificate(), self.key)

    def issue(self, stem: Path, *addresses: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address)) for address in addresses])
        extensions: list[x509.ExtensionType] = [usages, names] if addresses else [usages]
        write_pair(stem, self._sign(stem.name, key, x509.BasicConstraints(ca=False, path_length=None), extensions), key)

    def _sign(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
        constraints: x509.BasicConstraints,
        extensions: list[x509.ExtensionType],
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]),
            subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=START,
            not_valid_after=END,
        ).add_extension(constraints, critical=True)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256())


def write_pair(stem: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    Path(f"{stem}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = Path(f"{stem}.key")
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@dataclass
class Member:
    """One member: its server process, its data and its PKI as kubeadm lays them out."""

    name: str
    address: str
    home: Path
    programs: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def pki(self) -> Path:
        return self.home / "pki"

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def peer(self) -> str:
        return f"{self.name}=https://{self.address}:2380"

    def start(self, initial: str) -> None:
        peer, client = f"https://{self.address}:2380", f"https://{self.address}:2379"
        tls = ["ca.crt", "server.crt", "server.key"]
        trust, certificate, key = (str(self.pki / name) for name in tls)
        with (self.home / "etcd.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(self.programs / "etcd"), f"--name={self.name}", f"--data-dir={self.data}",
                    f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
                    f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
                    f"--initial-cluster={initial}", "--initial-cluster-token=prod",
                    "--client-cert-auth", "--peer-client-cert-auth",
                    f"--trusted-ca-file={trust}", f"--cert-file={certificate}", f"--key-file={key}",
                    f"--peer-trusted-ca-file={trust}", f"--peer-cert-file={certificate}", f"--peer-key-file={key}",
                    "--heartbeat-interval=50", "--election-timeout=500", "--quota-backend-bytes=134217728",
                ],
                stdout=log, stderr=log,
            )  # fmt: skip

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def etcdctl(self, *arguments: str, stdin: str = "") -> str:
        """What etcdctl answers when it asks this member alone."""
        return subprocess.run(
            [
                str(self.programs / "etcdctl"), f"--endpoints=https://{self.address}:2379",
                f"--cacert={self.pki / 'ca.crt'}", f"--cert={self.pki / 'healthcheck-client.crt'}",
                f"--key={self.pki / 'healthcheck-client.key'}", *arguments,
            ],
            input=stdin, text=True, check=True, capture_output=True, timeout=60,
        ).stdout  # fmt: skip

    def fields(self) -> dict[str, str]:
        lines = self.etcdctl("endpoint", "status", "-w", "fields").splitlines()
        return {key.strip('"'): value.strip('"') for key, _, value in (line.partition(" : ") for line in lines) if key}

    def answers(self) -> bool:
        with suppress(subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return "successfully committed" in self._health()
        return False

    def _health(self) -> str:
        return self.etcdctl("endpoint", "health", "-w", "simple") or "successfully committed"


@dataclass
class Cluster:
    """Members that form one etcd cluster."""

    authority: Authority
    members: list[Member]

    @property
    def initial(self) -> str:
        return ",".join(member.peer for member in self.members)

    def start(self) -> None:
        for member in self.members:
            if member.process is None:
                member.start(self.initial)
        self.wait()

    def wait(self, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not all(member.answers() for member in self.members if member.process):
            assert time.monotonic() < deadline, "etcd does not answer"
            time.sleep(0.1)

    def stop(self) -> None:
        for member in self.members:
            member.stop()

    @property
    def leader(self) -> Member:
        """The member that all living ones follow."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            alive = [member for member in self.members if member.process]
            with suppress(subprocess.CalledProcessError):
                told = {member.fields()["Leader"] for member in alive}
                ids = {member.fields()["MemberID"]: member for member in alive}
                if len(told) == 1 and told <= ids.keys():
                    return ids[told.pop()]
            time.sleep(0.1)
        raise AssertionError("no leader")

    @property
    def turn(self) -> Member:
        """The member that must take the copy: not the leader, and of the others the one with the lowest id."""
        leader = self.leader
        others = [member for member in self.members if member.process and member is not leader]
        return min(others, key=lambda member: int(member.fields()["MemberID"]))

    def put_many(self, first: int, last: int) -> None:
        """Keys key-FIRST to key-LAST-1, in transactions of 100."""
        for start in range(first, last, 100):
            puts = "\n".join(f"put key-{n:05} value-{n:05}" for n in range(start, min(start + 100, last)))
            self.members[0].etcdctl("txn", stdin=f"\n{puts}\n\n\n")


@contextmanager
def running(
    home: Path, network: str, programs: Path, size: int = 3, authority: Authority | None = None
) -> Iterator[Cluster]:
    """A cluster of `size` members m1, m2 ... at NETWORK.1, NETWORK.2 ... of 127/8, stopped at the end."""
    authority = authority or Authority("etcd-ca")
    members = [Member(f"m{n}", f"{network}.{n}", home / f"m{n}", programs) for n in range(1, size + 1)]
    for member in members:
        authority.write(member.pki)
        authority.issue(member.pki / "server", member.address, "127.0.0.1")
        authority.issue(member.pki / "healthcheck-client")
    cluster = Cluster(authority, members)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
