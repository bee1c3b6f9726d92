# SPDX-License-Identifier: GPL-3.0-or-later
"""Cyclic redundancy checks of 3GPP TS 38.212, 5.1, over bits, a batch at a time.

The register starts at zero and is not inverted, most significant bit first. The link's code blocks use CRC24B,
the code-block polynomial, always (also where the standard would use CRC24A for a single block).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# Generator polynomials without their highest term, and their degree.
_POLYNOMIALS = {
    "crc24a": (0x864CFB, 24),
    "crc24b": (0x800063, 24),
    "crc24c": (0xB2B117, 24),
    "crc16": (0x1021, 16),
    "crc11": (0x621, 11),
    "crc6": (0x21, 6),
}


def crc_length(name: str) -> int:
    """Number of check bits; ValueError for an unknown name."""
    if not isinstance(name, str) or name not in _POLYNOMIALS:
        raise ValueError(f"crc must be one of {', '.join(_POLYNOMIALS)}, not {name!r}")
    return _POLYNOMIALS[name][1]


@lru_cache(maxsize=32)
def _remainders(name: str, length: int) -> NDArray[np.uint32]:
    """Remainder of each single bit of a word of `length` bits, first bit first."""
    polynomial, degree = _POLYNOMIALS[name]
    top = 1 << degree
    table = np.empty(length, np.uint32)
    remainder = polynomial  # of x**degree: the last information bit
    for i in range(length - 1, -1, -1):
        table[i] = remainder
        remainder <<= 1
        if remainder & top:
            remainder ^= top | polynomial
    return table


def remainders(name: str, length: int) -> NDArray[np.uint32]:
    """What each bit of a word of `length` bits, check bits included, adds to its remainder; a whole word adds up to 0.

    uint32 [length]. ValueError for an unknown name or a word shorter than the check bits.
    """
    degree = crc_length(name)
    if length < degree:
        raise ValueError(f"length must be at least {degree} bits, not {length}")
    own = np.uint32(1) << np.arange(degree - 1, -1, -1, dtype=np.uint32)  # a check bit stands for itself
    return np.concatenate((_remainders(name, length - degree), own))


def crc(bits: NDArray[np.uint8], name: str = "crc24b") -> NDArray[np.uint8]:
    """Check bits, uint8 [..., degree], of words uint8 [..., n] of 0 and 1."""
    degree = crc_length(name)
    array = np.asarray(bits, np.uint8)
    if array.ndim == 0:
        raise ValueError("bits must be an array, not one number")
    # Multiplying by 0 or 1 selects; a sum without carries is the exclusive or.
    value = np.bitwise_xor.reduce(array * _remainders(name, array.shape[-1]), axis=-1)
    shifts = np.arange(degree - 1, -1, -1, dtype=np.uint32)
    return ((np.asarray(value, np.uint32)[..., None] >> shifts) & 1).astype(np.uint8)


def attach(bits: NDArray[np.uint8], name: str = "crc24b") -> NDArray[np.uint8]:
    """Words [..., n] followed by their check bits, [..., n + degree]."""
    array = np.asarray(bits, np.uint8)
    return np.concatenate((array, crc(array, name)), axis=-1)


def check(words: NDArray[np.uint8], name: str = "crc24b") -> NDArray[np.bool_]:
    """Whether words that end with their check bits, [..., n + degree], are whole: bool [...]."""
    degree = crc_length(name)
    array = np.asarray(words, np.uint8)
    if array.shape[-1] < degree:
        raise ValueError(f"words must have at least {degree} bits, not {array.shape[-1]}")
    sent = array[..., array.shape[-1] - degree :]
    return np.all(crc(array[..., : array.shape[-1] - degree], name) == sent, axis=-1)
