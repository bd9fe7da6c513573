"""Knows how the values of `generator.value` become fields of a pydantic model, and what all sections share."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    Strict,
    StrictBool,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from generator import value
from generator.secret import Secret
from generator.spec.frozenmap import FrozenMap

K = TypeVar("K")
V = TypeVar("V")


class Section(BaseModel):
    """A part of the spec: frozen, camelCase in YAML, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        coerce_numbers_to_str=True,
        arbitrary_types_allowed=True,
        use_attribute_docstrings=False,
        hide_input_in_errors=True,
    )


@dataclass(frozen=True)
class Parsed:
    """Marks a field whose YAML is a string that `parse` turns into its value; `what` names it to people."""

    parse: Callable[[str], Any]
    pattern: str = ""
    what: str = "text"
    format: str = ""
    secret: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._validate, serialization=core_schema.to_string_ser_schema()
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        described = {"type": "string", "pattern": self.pattern, "format": self.format, "writeOnly": self.secret}
        return {key: told for key, told in described.items() if told}

    def _validate(self, given: object) -> object:
        if isinstance(given, bool) or not isinstance(given, str | int):
            raise PydanticKnownError("string_type")
        return self.parse(str(given))


def matching(pattern: str, what: str, example: str) -> Parsed:
    """A string that matches `pattern` as a whole; the message says that it is not `what` and shows an example."""
    whole = re.compile(pattern)

    def parse(text: str) -> str:
        if whole.fullmatch(text) is None:
            raise value.InvalidValueError(f"{value.quoted(text)} is not {what}", f"write it like {example}")
        return text

    return Parsed(parse, pattern=f"^(?:{pattern})$", what=what.partition(" ")[2])


def _secret(parse: Callable[[str], str]) -> Callable[[str], Secret[str]]:
    return lambda text: Secret(parse(text))


def _nonempty_line(text: str) -> str:
    if not text or not text.isprintable():
        raise value.InvalidValueError("a line of printable characters is wanted here")
    return text


def _boolean_as_word(given: object) -> object:
    return str(given).lower() if isinstance(given, bool) else given


NodeName = Annotated[value.NodeName, Parsed(value.NodeName.parse, format="hostname", what="name")]
MacAddress = Annotated[value.MacAddress, Parsed(value.MacAddress.parse, what="MAC address")]
KubeVersion = Annotated[
    value.KubeVersion, Parsed(value.KubeVersion.parse, pattern=r"^v?[0-9]+\.[0-9]+\.[0-9]+$", what="version")
]
Duration = Annotated[value.Duration, Parsed(value.Duration.parse, pattern=r"^([0-9]+(ms|s|m|h|d))+$", what="duration")]
Quantity = Annotated[
    value.Quantity, Parsed(value.Quantity.parse, pattern=r"^[0-9.]+(m|k|M|G|T|Ki|Mi|Gi|Ti)?$", what="quantity")
]
PortRange = Annotated[value.PortRange, Parsed(value.PortRange.parse, pattern=r"^[0-9]+-[0-9]+$", what="range of ports")]
Taint = Annotated[
    value.Taint,
    Parsed(value.Taint.parse, pattern=r"^[^=:]+(=[^=:]*)?:(NoSchedule|PreferNoSchedule|NoExecute)$", what="taint"),
]
Address = Annotated[value.Address, Parsed(value.parse_address, what="address")]
AddressText = Annotated[str, Parsed(lambda text: str(value.parse_address(text)), what="address")]
Network = Annotated[value.Network, Parsed(value.parse_network, what="network")]
Interface = Annotated[str, Parsed(lambda text: str(value.parse_interface(text)), what="address with prefix")]
DnsName = Annotated[str, Parsed(value.parse_dns_name, format="hostname", what="DNS name")]
Host = Annotated[str, Parsed(value.parse_host, what="address or DNS name")]
Url = Annotated[str, Parsed(value.parse_url, format="uri", what="URL")]
HttpUrl = Annotated[str, Parsed(value.parse_http_url, format="uri", pattern="^http://", what="http URL")]
HttpsUrl = Annotated[str, Parsed(value.parse_https_url, format="uri", pattern="^https://", what="https URL")]
AbsolutePath = Annotated[str, Parsed(value.parse_absolute_path, pattern="^/", what="absolute path")]
Line = Annotated[str, Parsed(_nonempty_line)]
LabelName = Annotated[str, Parsed(value.parse_label, what="name")]
ImageName = Annotated[
    str, matching(r"[a-z0-9][A-Za-z0-9._:/@-]{0,254}", "the name of an image", "registry.k8s.io/pause:3.9")
]
ImageTag = Annotated[str, matching(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", "the tag of an image", "3.9")]
PasswordHash = Annotated[
    Secret[str], Parsed(_secret(value.parse_password_hash), secret=True, pattern=r"^\$", what="password hash")
]

Flag = StrictBool
Count = Annotated[int, Strict(), Field(ge=0)]
Port = Annotated[int, Strict(), Field(ge=1, le=65535)]
Integer = Annotated[int, Strict()]

MapOf = Annotated[Mapping[K, V], AfterValidator(FrozenMap), PlainSerializer(dict)]
FlagName = Annotated[str, matching(r"[a-z][a-z0-9-]*", "a flag without its dashes", "max-requests-inflight")]
Arguments = MapOf[FlagName, Annotated[str, BeforeValidator(_boolean_as_word, json_schema_input_type=str | bool | int)]]
EMPTY: Mapping[Any, Any] = FrozenMap()
