"""Knows the key material of an init epoch: three unrelated authorities, the service-account key, the encryption key."""

import os
from collections.abc import Mapping
from functools import lru_cache

from http_server.inventory import AuthorityName
from http_server.model import Keyset
from http_server.pki import (
    Authority,
    certificate_pem,
    key_pem,
    load_authority,
    make_authority,
    make_rsa_key,
    public_pem,
)
from http_server.ports import Keyring
from http_server.secret import Secret

# kubeadm's common names (kubeadm app/phases/certs).
COMMON_NAMES = {
    AuthorityName.KUBERNETES: "kubernetes",
    AuthorityName.FRONT_PROXY: "front-proxy-ca",
    AuthorityName.ETCD: "etcd-ca",
}
SERVICE_ACCOUNT = "service-account"
ENCRYPTION = "encryption"


def make_keyset(epoch: int, ca_days: int, now: float) -> Keyset:
    """New keys for an epoch; nothing in them is derived from another epoch or from each other."""
    made = {name: make_authority(common_name, ca_days, now) for name, common_name in COMMON_NAMES.items()}
    account = make_rsa_key()
    certificates = {str(name): certificate_pem(authority.certificate) for name, authority in made.items()}
    keys = {str(name): key_pem(authority.key) for name, authority in made.items()}
    others = {SERVICE_ACCOUNT: key_pem(account), ENCRYPTION: Secret(os.urandom(32))}
    return Keyset(epoch, {**certificates, SERVICE_ACCOUNT: public_pem(account)}, {**keys, **others})


def seal_keyset(keyset: Keyset, keyring: Keyring) -> Mapping[str, bytes]:
    """Every part encrypted, the public ones too: a swapped CA certificate must not go unseen."""
    public = {f"{name}.crt": Secret(pem) for name, pem in keyset.certificates.items()}
    private = {f"{name}.key": key for name, key in keyset.keys.items()}
    return {name: keyring.seal(name, keyset.epoch, value) for name, value in {**public, **private}.items()}


def unseal_keyset(epoch: int, sealed: Mapping[str, bytes], keyring: Keyring) -> Keyset:
    """What `seal_keyset` sealed; KeyringError when any part does not open."""
    parts = {name: keyring.unseal(name, epoch, value) for name, value in sealed.items()}
    certificates = {name[:-4]: value.reveal() for name, value in parts.items() if name.endswith(".crt")}
    return Keyset(epoch, certificates, {name[:-4]: value for name, value in parts.items() if name.endswith(".key")})


def authority(keyset: Keyset, name: AuthorityName) -> Authority:
    """One of the epoch's authorities, ready to sign."""
    return _loaded(keyset.certificates[name], keyset.keys[name])


@lru_cache(maxsize=16)
def _loaded(certificate: bytes, key: Secret) -> Authority:
    """Checking that an RSA key is one takes longer than all the rest of a request; it is done once for each key."""
    return load_authority(certificate, key)
