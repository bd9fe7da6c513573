"""Knows the taints of a node."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from generator.value.invalid import InvalidValueError, quoted


class TaintEffect(StrEnum):
    """core/v1 TaintEffect."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


@dataclass(frozen=True, slots=True)
class Taint:
    """A taint as kubectl writes it: `key=value:Effect`, or `key:Effect` when the value is empty."""

    key: str
    value: str
    effect: TaintEffect

    @classmethod
    def parse(cls, text: str) -> Self:
        pair, colon, effect = text.rpartition(":")
        key, _, value = pair.partition("=")
        if not colon or not key or effect not in set(TaintEffect):
            raise InvalidValueError(
                f"{quoted(text)} is not a taint", f"write key=value:EFFECT; EFFECT is {', '.join(TaintEffect)}"
            )
        return cls(key, value, TaintEffect(effect))

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"
