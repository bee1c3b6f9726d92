# SPDX-License-Identifier: GPL-3.0-or-later
"""Modulation and coding schemes by name, `modulation-code rate`, from the most robust to the fastest.

`alpha` is the decoder's min-sum factor, `interleaved` whether 38.212's bit interleaver is used, `gap_db` how far
above the normal approximation our decoder reaches a block error rate of 1e-2 (1536 information bits, AWGN, 50
iterations); all three by measurement, `benchmarks/phy/mcs.json`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from .modulation import BITS_PER_SYMBOL


@dataclass(frozen=True)
class MCS:
    """One scheme. `bits_per_symbol` counts coded bits, `efficiency` information bits for each symbol."""

    name: str
    modulation: str
    code_rate: Fraction
    alpha: float = 0.75
    interleaved: bool = False
    gap_db: float = 0.9

    @property
    def bits_per_symbol(self) -> int:
        """Coded bits for each symbol."""
        return BITS_PER_SYMBOL[self.modulation]

    @property
    def coded(self) -> bool:
        """False for the uncoded schemes: no LDPC code, no CRC, one block."""
        return self.code_rate < 1

    @property
    def efficiency(self) -> float:
        """Information bits for each symbol, CRC included."""
        return self.bits_per_symbol * float(self.code_rate)


def _coded(modulation: str, numerator: int, denominator: int, alpha: float, interleaved: bool, gap_db: float) -> MCS:
    rate = Fraction(numerator, denominator)
    return MCS(f"{modulation}-{numerator}/{denominator}", modulation, rate, alpha, interleaved, gap_db)


_TABLE = (
    _coded("qpsk", 1, 12, 0.65625, False, 1.22),
    _coded("qpsk", 1, 6, 0.71875, False, 0.93),
    _coded("qpsk", 1, 3, 0.71875, False, 0.85),
    _coded("qpsk", 1, 2, 0.71875, False, 0.63),
    _coded("qpsk", 2, 3, 0.78125, False, 0.56),
    _coded("16qam", 1, 3, 0.78125, True, 0.75),
    _coded("16qam", 1, 2, 0.78125, True, 0.68),
    _coded("16qam", 2, 3, 0.78125, True, 0.62),
    _coded("16qam", 3, 4, 0.78125, True, 0.67),
    _coded("64qam", 1, 2, 0.78125, True, 0.75),
    _coded("64qam", 2, 3, 0.84375, True, 0.73),
    _coded("64qam", 3, 4, 0.78125, True, 0.69),
    _coded("64qam", 5, 6, 0.78125, True, 0.55),
    _coded("256qam", 2, 3, 0.78125, True, 0.79),
    _coded("256qam", 3, 4, 0.78125, True, 0.81),
    _coded("256qam", 5, 6, 0.78125, True, 0.63),
    _coded("256qam", 8, 9, 0.84375, True, 0.71),
    *(MCS(f"uncoded-{modulation}", modulation, Fraction(1)) for modulation in BITS_PER_SYMBOL),
)
_BY_NAME = {mcs.name: mcs for mcs in _TABLE}


def names() -> tuple[str, ...]:
    """All names, in the table's order."""
    return tuple(_BY_NAME)


def get(name: str | MCS) -> MCS:
    """The scheme of that name (a scheme gives itself); ValueError that lists the names."""
    if isinstance(name, MCS):
        return name
    try:
        return _BY_NAME[name]
    except (KeyError, TypeError):
        raise ValueError(f"mcs must be one of {', '.join(_BY_NAME)}, not {name!r}") from None
