"""Knows the root that a cluster's seeds trust: an EC P-256 certificate authority of ten years."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from generator.secret import Secret

LIFETIME = timedelta(days=3650)
BACKDATE = timedelta(days=1)  # for nodes whose clock is behind

# The order of P-256 (SEC 2, section 2.4.2); a private key is a number from 1 to one below it.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, slots=True)
class Root:
    """The certificate and its private key, both PEM."""

    certificate: str
    key: Secret[str]


def make_root(cluster: str, now: datetime, random: Callable[[int], bytes]) -> Root:
    """A new root. The same clock and randomness give the same bytes: the signature is deterministic (RFC 6979)."""
    # 64 bits more than the order has make the remainder uniform enough (FIPS 186-5, appendix A.2.1).
    key = ec.derive_private_key(int.from_bytes(random(40)) % (_ORDER - 1) + 1, ec.SECP256R1())
    serial = int.from_bytes(random(16)) | 1 << 127
    certificate = _describe(f"kubeseed root of {cluster}", now, serial, key.public_key())
    signed = certificate.sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    return Root(signed.public_bytes(serialization.Encoding.PEM).decode(), Secret(_pem(key)))


def begin_of(root: Root) -> datetime:
    """When the root was made."""
    return x509.load_pem_x509_certificate(root.certificate.encode()).not_valid_before_utc + BACKDATE


def end_of(root: Root) -> datetime:
    """When nobody believes it any more."""
    return x509.load_pem_x509_certificate(root.certificate.encode()).not_valid_after_utc


def _describe(name: str, now: datetime, serial: int, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    start = now.replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(start - BACKDATE)
        .not_valid_after(start + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
