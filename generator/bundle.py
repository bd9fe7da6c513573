"""Knows a cluster's own secrets, which survive every `generate`: the root of the seeds and each node's enrolment.

Pure: the clock and the source of randomness are passed in, and whoever calls reads and writes the files.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from generator.errors import LocalError
from generator.root import Root, make_root
from generator.secret import Secret

FORMAT = 1
CERTIFICATE, KEY, ENROLMENTS = "secrets/root.crt", "secrets/root.key", "secrets/enrolments.json"
FILES = (CERTIFICATE, KEY, ENROLMENTS)
# The root that nodes trust beside it: the next one, or after the switch the former one.
OTHER_CERTIFICATE, OTHER_KEY = "secrets/other-root.crt", "secrets/other-root.key"
OTHER = (OTHER_CERTIFICATE, OTHER_KEY)

# keepalived uses the first 8 characters of a password (keepalived.conf(5), auth_pass).
_PASSWORD_LENGTH = 8
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefgh"  # 32 letters, so that a byte's low bits pick one evenly

Random = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a node's seed proves itself with. `id` is public, 16 hexadecimal digits; the secret has 64."""

    id: str
    secret: Secret[str]
    generation: int
    created_at: datetime
    retired: bool = False

    @property
    def digest(self) -> str:
        """What the coordinator knows of the secret: the SHA-256 of its 64 hexadecimal digits."""
        return sha256(self.secret.reveal().encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything secret that is made once and kept."""

    cluster: str
    root: Root
    keepalived_password: Secret[str]
    enrolments: Mapping[str, Enrolment]
    other: Root | None = None

    @property
    def trusted(self) -> str:
        """The certificates under which nodes believe the coordinator, as one PEM text."""
        return self.root.certificate + (self.other.certificate if self.other else "")


def renew_bundle(
    old: Bundle | None,
    cluster: str,
    names: Collection[str],
    *,
    now: datetime,
    random: Random,
    reinstall: Collection[str] = (),
) -> Bundle:
    """The bundle for these nodes: what was there stays, new nodes get an enrolment, nodes that are gone are retired.

    A node in `reinstall`, and one that comes back after it was retired, gets the next generation and a new secret.
    """
    if old is not None and old.cluster != cluster:
        raise LocalError.because(
            f"this folder belongs to cluster {old.cluster!r}, the spec describes {cluster!r}",
            hint="give each cluster a folder of its own",
        )
    bundle = old or Bundle(cluster, make_root(cluster, now, random), _password(random), MappingProxyType({}))
    kept = {name: replace(old, retired=name not in names) for name, old in bundle.enrolments.items()}
    made = {
        name: _enrolment(bundle.enrolments.get(name), now, random)
        for name in names
        if name in reinstall or name not in kept or bundle.enrolments[name].retired
    }
    return replace(bundle, enrolments=MappingProxyType(kept | made))


def dump_bundle(bundle: Bundle) -> Mapping[str, bytes]:
    """The files of the bundle by their path in OUT; all of them are 0600."""
    tree = {
        "format": FORMAT,
        "cluster": bundle.cluster,
        "keepalivedPassword": bundle.keepalived_password.reveal(),
        "nodes": {name: _tree(enrolment) for name, enrolment in bundle.enrolments.items()},
    }
    return {
        CERTIFICATE: bundle.root.certificate.encode(),
        KEY: bundle.root.key.reveal().encode(),
        ENROLMENTS: (json.dumps(tree, indent=2, sort_keys=True) + "\n").encode(),
        **(_dump_other(bundle.other) if bundle.other else {}),
    }


def _dump_other(root: Root) -> Mapping[str, bytes]:
    return {OTHER_CERTIFICATE: root.certificate.encode(), OTHER_KEY: root.key.reveal().encode()}


def parse_bundle(files: Mapping[str, bytes]) -> Bundle | None:
    """The bundle from its files; None where there is none yet, LocalError where it is incomplete or spoilt."""
    if not files:
        return None
    wanted = FILES + (OTHER if files.keys() & set(OTHER) else ())
    if missing := [path for path in wanted if path not in files]:
        raise LocalError.because(
            "the cluster's secrets are incomplete", file=missing[0], hint="restore the folder `secrets` from a backup"
        )
    try:
        return _parse(json.loads(files[ENROLMENTS]), files)
    except (ValueError, KeyError, TypeError, AttributeError):
        # The cause stays unsaid: it could quote a secret.
        raise LocalError.because(
            "the cluster's secrets cannot be read", file=ENROLMENTS, hint="restore the folder `secrets` from a backup"
        ) from None


def _parse(tree: Any, files: Mapping[str, bytes]) -> Bundle:
    if tree["format"] != FORMAT:
        raise ValueError("format")
    return Bundle(
        cluster=tree["cluster"],
        root=_root(files, CERTIFICATE, KEY),
        keepalived_password=Secret(tree["keepalivedPassword"]),
        enrolments=MappingProxyType({name: _enrolment_of(entry) for name, entry in tree["nodes"].items()}),
        other=_root(files, *OTHER) if OTHER_KEY in files else None,
    )


def _root(files: Mapping[str, bytes], certificate: str, key: str) -> Root:
    return Root(files[certificate].decode(), Secret(files[key].decode()))


def _enrolment_of(tree: Any) -> Enrolment:
    created_at = datetime.fromisoformat(tree["createdAt"])
    return Enrolment(tree["enrolId"], Secret(tree["secret"]), tree["generation"], created_at, tree["retired"])


def _tree(enrolment: Enrolment) -> Mapping[str, object]:
    return {
        "enrolId": enrolment.id,
        "secret": enrolment.secret.reveal(),
        "generation": enrolment.generation,
        "createdAt": enrolment.created_at.astimezone(UTC).isoformat(timespec="seconds"),
        "retired": enrolment.retired,
    }


def _enrolment(before: Enrolment | None, now: datetime, random: Random) -> Enrolment:
    generation = before.generation + 1 if before else 1
    return Enrolment(random(8).hex(), Secret(random(32).hex()), generation, now.replace(microsecond=0))


def _password(random: Random) -> Secret[str]:
    return Secret("".join(_letters(random(_PASSWORD_LENGTH))))


def _letters(data: bytes) -> Iterable[str]:
    return (_ALPHABET[byte % len(_ALPHABET)] for byte in data)
