"""Knows the names of nodes and of network cards."""

import re
from typing import Self

from generator.value.invalid import InvalidValueError, quoted

# RFC 1123 section 2.1 as Kubernetes reads it: lower case, labels of at most 63, at most 253 in all.
_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")


def is_subdomain(text: str) -> bool:
    """Whether `text` is an RFC 1123 subdomain as Kubernetes wants object names."""
    return len(text) <= 253 and _SUBDOMAIN.fullmatch(text) is not None


def parse_label(text: str) -> str:
    """A single RFC 1123 label: the name of a cluster, of a volume."""
    if re.fullmatch(_LABEL, text) is None:
        wanted = "use lower-case letters, digits and '-', at most 63 characters"
        raise InvalidValueError(f"{quoted(text)} is not a name of this kind", wanted)
    return text


class NodeName(str):
    """An RFC 1123 subdomain of at most 52 characters: host name, Kubernetes node name, folder name of the seed.

    A certificate's common name holds 64 characters (RFC 5280, ub-common-name), of which `system:node:` takes 12.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        if not is_subdomain(text) or len(text) > 52:
            wanted = "lower-case letters, digits and '-' (and '.' between labels), at most 52 characters"
            raise InvalidValueError(f"{quoted(text)} is not a node name", f"use {wanted}, for example worker-1")
        return cls(text)


class MacAddress(str):
    """An EUI-48 address, normalised to lower case with colons."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        digits = re.sub(r"[:.\-]", "", text.lower())
        if not re.fullmatch(r"[0-9a-f]{12}", digits):
            raise InvalidValueError(f"{quoted(text)} is not a MAC address", "write six bytes like 52:54:00:12:34:56")
        if int(digits[1], 16) & 1 or digits == "0" * 12:
            raise InvalidValueError(
                f"{quoted(text)} is not the address of a single network card",
                "the second digit of a card's address is even, and not all digits are zero",
            )
        return cls(":".join(digits[at : at + 2] for at in range(0, 12, 2)))
