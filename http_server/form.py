"""Knows the grammar of every form field and query parameter. What does not match is refused, never repaired."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl

from http_server.errors import ApiError, invalid

T = TypeVar("T")
MOST_FIELDS = 64
MOST_TEXT = 128


@dataclass(frozen=True, slots=True)
class Form:
    """Fields by name; each was allowed, and only those that may repeat have several values."""

    fields: Mapping[str, tuple[str, ...]]

    def one(self, name: str, parse: Callable[[str], T], missing: str | None = None) -> T:
        """The parsed value of one field; without `missing` the field must be there."""
        values = self.fields.get(name, () if missing is None else (missing,))
        if not values:
            raise ApiError(400, "missing-field", f"{name} is missing")
        return self._parsed(name, values[0], parse)

    def many(self, name: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        """The parsed values of a field that may repeat."""
        return tuple(self._parsed(name, value, parse) for value in self.fields.get(name, ()))

    def _parsed(self, name: str, value: str, parse: Callable[[str], T]) -> T:
        try:
            return parse(value)
        except ValueError as error:
            raise invalid(name, str(error)) from None


def parse_form(data: str, once: frozenset[str], repeated: frozenset[str] = frozenset()) -> Form:
    """A form body or query string with these fields only (no field may be set that the route does not name)."""
    try:
        pairs = parse_qsl(
            data, keep_blank_values=True, strict_parsing=True, max_num_fields=MOST_FIELDS, errors="replace"
        )
    except ValueError:
        raise ApiError(400, "malformed-form", "the fields are not name=value&name=value") from None
    found: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        if name not in once | repeated:
            raise ApiError(400, "unknown-field", f"allowed fields: {', '.join(sorted(once | repeated))}")
        if name in found and name in once:
            raise ApiError(400, "repeated-field", f"{name} is given twice")
        found[name] = (*found.get(name, ()), value)
    return Form(found)


def decode_body(body: bytes) -> str:
    """A form body's text; everything outside ASCII must be percent-encoded (WHATWG URL, section 5.1)."""
    try:
        return body.decode("ascii")
    except UnicodeDecodeError:
        raise ApiError(400, "malformed-form", "the form holds bytes that are not percent-encoded") from None


def matching(pattern: str, allowed: str) -> Callable[[str], str]:
    """A parser that takes exactly what the pattern matches."""
    compiled = re.compile(pattern)

    def parse(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(allowed)
        return text

    return parse


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """A parser of decimal digits within bounds."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return parse


def parse_seconds(text: str) -> float:
    """Seconds with at most three decimals."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", text):
        raise ValueError("seconds, like 12 or 12.5")
    return float(text)


def parse_mac(text: str) -> str:
    """A hardware address of 6 to 20 bytes, in lower case with colons."""
    lowered = text.lower().replace("-", ":")
    if not re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5,19}", lowered):
        raise ValueError("a MAC address like 52:54:00:12:34:56")
    return lowered


def parse_text(text: str) -> str:
    """One line that a machine says of itself; control characters are dropped, and it is cut at 128 characters."""
    return printable(text)[:MOST_TEXT].strip()


def printable(text: str) -> str:
    """The text without control characters, so that nothing in it can steer a terminal or forge a log line."""
    return text if text.isprintable() else "".join(filter(str.isprintable, text))


def parse_log(text: str) -> str:
    """A log's tail: line feeds and tabs stay, other control characters go."""
    lines = text.replace("\r", "\n").split("\n")
    return "\n".join("\t".join(printable(part) for part in line.split("\t")) for line in lines)


parse_digest = matching(r"[0-9a-f]{64}", "64 hexadecimal digits in lower case")
parse_node = matching(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", "a node name")
parse_fingerprint = matching(
    r"[0-9a-f]{4}(-[0-9a-f]{4}){4}", "five groups of four hexadecimal digits, a1b2-c3d4-e5f6-0718-293a"
)
