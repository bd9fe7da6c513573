"""Knows lengths of time and amounts of resources."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from generator.value.invalid import InvalidValueError, quoted

_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time in Go's notation, and days: `40s`, `1h30m`, `36500d`. `str` gives the text back."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        if not re.fullmatch(r"([0-9]{1,9}(ms|s|m|h|d))+", text):
            raise InvalidValueError(f"{quoted(text)} is not a duration", "write it with ms, s, m, h or d: 40s, 3650d")
        return cls(text)

    def __str__(self) -> str:
        return self.text

    @property
    def seconds(self) -> Decimal:
        parts = re.findall(r"([0-9]+)(ms|[smhd])", self.text)
        return sum((int(number) * _SECONDS[unit] for number, unit in parts), Decimal(0))

    @property
    def days(self) -> int:
        """Whole days, rounded down."""
        return int(self.seconds // _SECONDS["d"])


_FACTORS = {
    "": Decimal(1), "m": Decimal("0.001"), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9),
    "T": Decimal(10**12), "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quantity:
    """A Kubernetes resource.Quantity: `100m`, `256M`, `10Gi`. `str` gives the text back."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?", text):
            raise InvalidValueError(
                f"{quoted(text)} is not a quantity", "write a number with m, k, M, G, T, Ki, Mi, Gi or Ti: 100m, 256Mi"
            )
        return cls(text)

    def __str__(self) -> str:
        return self.text

    @property
    def value(self) -> Decimal:
        """In the base unit: bytes, or cores."""
        number = self.text.rstrip("mkMGTi")
        return Decimal(number) * _FACTORS[self.text[len(number) :]]
