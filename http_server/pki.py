"""Knows X.509: the one function that signs, what is accepted as a public key, and how keys and authorities are made."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from http_server.inventory import Leaf
from http_server.model import Grant
from http_server.secret import Secret
from http_server.settings import BACKDATE, CA_BACKDATE

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
USAGES = {"serverAuth": ExtendedKeyUsageOID.SERVER_AUTH, "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH}
RSA_BITS = range(2048, 8193)
CURVES = (ec.SECP256R1, ec.SECP384R1)


class RequestError(ValueError):
    """A CSR that cannot be used; `str` says what is allowed."""


class AuthorityError(ValueError):
    """A certificate and key that do not make an authority, or do not any more."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority's certificate and key."""

    certificate: x509.Certificate
    key: PrivateKey


def _sign(builder: x509.CertificateBuilder, issuer: x509.Name, public: PublicKey, key: PrivateKey) -> x509.Certificate:
    """The ONE place that signs: leaf and authority, all carry key identifiers and a random serial number."""
    public_of_issuer = key.public_key()
    ski = x509.SubjectKeyIdentifier.from_public_key(public)
    aki = x509.AuthorityKeyIdentifier.from_issuer_public_key(public_of_issuer)
    whole = builder.issuer_name(issuer).public_key(public).serial_number(x509.random_serial_number())
    whole = whole.add_extension(ski, critical=False).add_extension(aki, critical=False)
    return whole.sign(key, hashes.SHA256())


def issue(
    grant: Grant, public: PublicKey, authority: Authority, now: float, since: float | None = None
) -> x509.Certificate:
    """The certificate that the grant promises, for this key: from one hour ago, never beyond the authority's life.

    `since` is earlier than `now` while the system's clock is behind a mark that a wrong clock may have left.
    """
    profile = grant.profile
    start = datetime.fromtimestamp(min(now, since or now) - BACKDATE, UTC)
    start = max(start, min(authority.certificate.not_valid_before_utc, datetime.fromtimestamp(now - BACKDATE, UTC)))
    end = datetime.fromtimestamp(now, UTC) + timedelta(days=profile.days)
    end = min(end, authority.certificate.not_valid_after_utc)
    if end.timestamp() <= now:
        raise AuthorityError("the authority has expired")
    builder = x509.CertificateBuilder().subject_name(_subject(profile)).not_valid_before(start).not_valid_after(end)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(enciphers=isinstance(public, rsa.RSAPublicKey)), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([USAGES[name] for name in profile.usages]), critical=False)
    if profile.sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(_names(profile.sans)), critical=False)
    return _sign(builder, authority.certificate.subject, public, authority.key)


def make_authority(common_name: str, days: int, now: float) -> Authority:
    """A new self-signed authority, RSA-2048 as every Kubernetes release reads it, valid from a day ago."""
    key = make_rsa_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    start = datetime.fromtimestamp(now - CA_BACKDATE, UTC)
    end = min(start + timedelta(days=days + 1), datetime(9999, 12, 31, tzinfo=UTC))
    builder = x509.CertificateBuilder().subject_name(subject).not_valid_before(start).not_valid_after(end)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(enciphers=True, signs_certificates=True), critical=True)
    return Authority(_sign(builder, subject, key.public_key(), key), key)


def _subject(profile: Leaf) -> x509.Name:
    """Organisations first, as Go's crypto/x509 and kubeadm write them."""
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in profile.organizations]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, profile.commonName)])


def _names(sans: Iterable[str]) -> list[x509.GeneralName]:
    split = (san.partition(":") for san in sans)
    return [x509.IPAddress(ip_address(value)) if kind == "IP" else x509.DNSName(value) for kind, _, value in split]


def _key_usage(*, enciphers: bool, signs_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, key_encipherment=enciphers,
        key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def parse_request(pem: bytes) -> PublicKey:
    """The public key of a PEM CSR whose self-signature holds. Names, extensions and attributes in it are never read."""
    try:
        request = x509.load_pem_x509_csr(pem)
        public = request.public_key()
        signed = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise RequestError("the body is not a PEM certificate request (PKCS #10)") from None
    if not signed:
        raise RequestError("the request is not signed by its own key")
    return check_public_key(public)


def check_public_key(public: object) -> PublicKey:
    """RSA of 2048 to 8192 bits, P-256 or P-384."""
    if isinstance(public, rsa.RSAPublicKey) and public.key_size in RSA_BITS:
        return public
    if isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, CURVES):
        return public
    raise RequestError(f"the key must be RSA of {RSA_BITS[0]} to {RSA_BITS[-1]} bits, P-256 or P-384")


def make_rsa_key() -> rsa.RSAPrivateKey:
    """RSA-2048."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def make_ec_key() -> ec.EllipticCurvePrivateKey:
    """P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKey) -> Secret:
    """A private key as kubeadm writes it (PKCS #1 or SEC 1)."""
    traditional = serialization.PrivateFormat.TraditionalOpenSSL
    return Secret(key.private_bytes(serialization.Encoding.PEM, traditional, serialization.NoEncryption()))


def public_pem(key: PrivateKey) -> bytes:
    """A public key as SubjectPublicKeyInfo, the form of kubeadm's sa.pub."""
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, spki)


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def load_authority(certificate: bytes, key: Secret) -> Authority:
    """The authority in these PEM texts, when they belong together."""
    try:
        loaded = x509.load_pem_x509_certificate(certificate)
        private = serialization.load_pem_private_key(key.reveal(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise AuthorityError("not a PEM certificate and an unencrypted PEM key") from None
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise AuthorityError("the key is neither RSA nor EC")
    if private.public_key() != loaded.public_key():
        raise AuthorityError("the key does not belong to the certificate")
    return Authority(loaded, private)
