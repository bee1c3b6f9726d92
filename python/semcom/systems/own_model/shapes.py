# SPDX-License-Identifier: GPL-3.0-or-later
"""Types and shapes as a card writes them: `float32 [1, 16, H/8, W/8]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod

DTYPES = ("float32", "float16", "uint8", "int32", "int64")
LARGEST = 1 << 20  # of a number in a shape
FREE = "K"
SYMBOLS = {"image": ("H", "W"), "speech": ("N",), "text": ("N",)}
_TENSOR = re.compile(r"(\w+) ?\[([^\[\]]*)\]")
_SIZE = re.compile(r"(?P<factors>[0-9A-Z]+(\*[0-9A-Z]+)*)(/(?P<divisor>[0-9]+))?")


@dataclass(frozen=True)
class Size:
    """One axis: a number, a symbol, or a product of them over a number, as `H*W/64`."""

    text: str
    factor: Fraction
    symbols: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Size:
        """From text; ValueError for what is no size."""
        found = _SIZE.fullmatch(text)
        factors = found["factors"].split("*") if found else []
        numbers = [int(part) for part in factors if part.isdigit()]
        symbols = tuple(sorted(part for part in factors if not part.isdigit()))
        divisor = int(found["divisor"] or 1) if found else 0
        bad = any(len(symbol) > 1 for symbol in symbols) or not all(0 < n <= LARGEST for n in (*numbers, divisor))
        factor = Fraction(prod(numbers), divisor or 1)
        if bad or (not symbols and factor.denominator != 1):
            raise ValueError(text)
        return cls(text, factor, symbols)

    def value(self, sizes: Mapping[str, int]) -> int:
        """The number; ValueError where it is not whole, KeyError for a symbol that has no value."""
        value = self.factor * prod(sizes[symbol] for symbol in self.symbols)
        if value.denominator != 1 or value < 1:
            raise ValueError(f"{self.text} is not a whole number above 0 at {dict(sizes)}")
        return int(value)


@dataclass(frozen=True)
class Tensor:
    """A type, numpy's name, and the size of each axis."""

    dtype: str
    axes: tuple[Size, ...]

    @classmethod
    def parse(cls, text: object) -> Tensor:
        """From text; ValueError that says what was expected."""
        found = _TENSOR.fullmatch(text.strip()) if isinstance(text, str) else None
        if found is None or found[1] not in DTYPES:
            raise ValueError(f"expected a type ({', '.join(DTYPES)}) and a shape, such as float32 [1, 3, H, W]")
        parts = [part.strip() for part in found[2].split(",")] if found[2].strip() else []
        if len(parts) > 8:
            raise ValueError("expected at most 8 axes")
        try:
            return cls(found[1], tuple(Size.parse(part) for part in parts))
        except ValueError as error:
            raise ValueError(f"expected sizes such as 3, H, H/8 or H*W/64, not {str(error)!r}") from None

    def __str__(self) -> str:
        return f"{self.dtype} [{', '.join(axis.text for axis in self.axes)}]"

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol of every axis, sorted, as often as it stands there."""
        return tuple(sorted(symbol for axis in self.axes for symbol in axis.symbols))

    @property
    def factor(self) -> Fraction:
        """The number of elements over the product of its symbols."""
        return prod((axis.factor for axis in self.axes), start=Fraction(1))

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape at these sizes."""
        return tuple(axis.value(sizes) for axis in self.axes)

    def free_size(self, sizes: Mapping[str, int], elements: int) -> int:
        """What `K` is when there are so many elements; ValueError where no whole K gives them."""
        rest = self.factor * prod(sizes[symbol] for symbol in self.symbols if symbol != FREE)
        free = elements / rest
        if free.denominator != 1 or free < 1:
            raise ValueError(f"{elements} values do not fill {self}")
        return int(free)
