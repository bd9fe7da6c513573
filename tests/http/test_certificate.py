"""Certificates: names, usages and validity come from the inventory; a request gives nothing but its public key."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder
from cryptography.x509.verification import Store as TrustStore

from tests.http.process import Coordinator, Machine

KeyType = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | dsa.DSAPrivateKey


def request(
    key: KeyType, names: dict[x509.ObjectIdentifier, str] | None = None, *extensions: x509.ExtensionType
) -> bytes:
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in (names or {}).items()])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.PEM)


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def worker(shared: Coordinator) -> Machine:
    return shared.machine("w1").enrolled()


def names_of(certificate: x509.Certificate) -> tuple[str, list[str]]:
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    return str(common), [
        str(part.value) for part in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    ]


def test_a_worker_gets_its_kubelet_certificate(coordinator: Coordinator) -> None:
    worker, key = coordinator.machine("w1").enrolled(), p256()
    answer = worker.post("/v1/certificates/kubelet-serving", pem=request(key))
    assert (answer.status_code, answer.headers["x-epoch"]) == (200, "1")
    certificate = x509.load_pem_x509_certificate(answer.content)
    assert names_of(certificate) == ("system:node:w1", ["system:nodes"])
    assert certificate.public_key() == key.public_key()
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    age = datetime.now(UTC) - certificate.not_valid_before_utc
    assert timedelta(minutes=59) < age < timedelta(minutes=62)
    trust = TrustStore([x509.load_pem_x509_certificate(worker.authorities()["ca.crt"])])
    assert PolicyBuilder().store(trust).build_server_verifier(x509.DNSName("w1")).verify(certificate, [])


def test_wishes_in_the_request_are_ignored(coordinator: Coordinator) -> None:
    """CVE-2022-36103 (Talos): a worker's request for system:masters was signed as it stood."""
    wishes = {NameOID.COMMON_NAME: "kubernetes-admin", NameOID.ORGANIZATION_NAME: "system:masters"}
    names = x509.SubjectAlternativeName([x509.DNSName("kubernetes"), x509.DNSName("m1")])
    everything = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    authority = x509.BasicConstraints(ca=True, path_length=None)
    csr = request(p256(), wishes, names, everything, authority)
    answer = coordinator.machine("w1").enrolled().post("/v1/certificates/kubelet-serving", pem=csr)
    certificate = x509.load_pem_x509_certificate(answer.content)
    assert names_of(certificate) == ("system:node:w1", ["system:nodes"])
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert found.get_values_for_type(x509.DNSName) == ["w1"]
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]


@pytest.mark.parametrize("kind", ["apiserver", "admin", "front-proxy-client", "etcd-peer", "ca", "root", "..%2fadmin"])
def test_a_worker_has_no_masters_certificate(worker: Machine, kind: str) -> None:
    answer = worker.post(f"/v1/certificates/{kind}", pem=request(p256()))
    assert answer.status_code in {403, 404}
    assert b"BEGIN" not in answer.content


def test_each_kind_is_under_its_own_authority(coordinator: Coordinator) -> None:
    master = coordinator.machine("m1").enrolled()
    authorities = master.authorities()
    expected = {"apiserver": "ca.crt", "front-proxy-client": "front-proxy-ca.crt", "etcd-peer": "etcd-ca.crt"}
    for kind, authority in expected.items():
        certificate = x509.load_pem_x509_certificate(
            master.post(f"/v1/certificates/{kind}", pem=request(p256())).content
        )
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authorities[authority]))


def der(pem: bytes) -> bytes:
    return x509.load_pem_x509_csr(pem).public_bytes(serialization.Encoding.DER)


def tampered() -> bytes:
    """A request whose signature is another key's."""
    return pem_of(der(request(p256()))[:-60] + der(request(p256()))[-60:])


def of_version(number: int) -> bytes:
    """PKCS #10 knows version 0 only (RFC 2986)."""
    return pem_of(der(request(p256())).replace(b"\x02\x01\x00", bytes((2, 1, number)), 1))


def pem_of(data: bytes) -> bytes:
    body = base64.encodebytes(data).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n".encode()


UNUSABLE = {
    "empty line": b"\n",
    "not pem": b"hello",
    "key": p256().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ),
    "forged": tampered(),
    "version 5": of_version(5),
    "rsa 1024": request(rsa.generate_private_key(65537, 1024)),  # noqa: S505 - it must be refused
    "p-521": request(ec.generate_private_key(ec.SECP521R1())),
    "p-224": request(ec.generate_private_key(ec.SECP224R1())),
    "ed25519": request(ed25519.Ed25519PrivateKey.generate()),
    "dsa": request(dsa.generate_private_key(2048)),
}


@pytest.mark.parametrize("body", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_unusable_requests_are_refused(worker: Machine, body: bytes) -> None:
    answer = worker.post("/v1/certificates/kubelet-serving", pem=body)
    assert (answer.status_code, answer.json()["error"]) == (422, "unusable-request")


@pytest.mark.parametrize("key", [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())])
def test_usual_keys_are_taken(coordinator: Coordinator, key: KeyType) -> None:
    assert (
        coordinator.machine("w1").enrolled().post("/v1/certificates/kubelet-serving", pem=request(key)).status_code
        == 200
    )


def test_every_certificate_has_its_audit_row(coordinator: Coordinator) -> None:
    worker = coordinator.machine("w1").enrolled()
    serials = set()
    for _ in range(3):
        certificate = x509.load_pem_x509_certificate(
            worker.post("/v1/certificates/kubelet-client", pem=request(p256())).content
        )
        serials.add(f"{certificate.serial_number:x}")
    assert {row["detail"]["serial"] for row in coordinator.events() if row["action"] == "certificate-issued"} == serials


def test_no_certificate_outlives_its_authority(coordinator: Coordinator) -> None:
    coordinator.kill()
    for kind in coordinator.out.node("w1")["certificates"].values():
        kind["days"] = 73000
    coordinator.out.write_inventory()
    coordinator.start()
    worker = coordinator.machine("w1").enrolled()
    authority = x509.load_pem_x509_certificate(worker.authorities()["ca.crt"])
    answer = worker.post("/v1/certificates/kubelet-client", pem=request(p256()))
    assert x509.load_pem_x509_certificate(answer.content).not_valid_after_utc == authority.not_valid_after_utc
