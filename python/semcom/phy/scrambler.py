# SPDX-License-Identifier: GPL-3.0-or-later
"""Scrambling with the Gold sequence of 3GPP TS 38.211, 5.2.1 and 7.3.1.1.

Messages may be anything (a raw picture of the night sky is nearly all zeros), but mean symbol energy 1 and the
demapper's equiprobable bits need coded bits that look random.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SEED = 0x2A6F31D  # c_init of every link of this module: both ends must agree
_ADVANCE = 1600  # N_c of the standard


def _m_sequence(start: int, taps: tuple[int, ...], length: int) -> NDArray[np.uint8]:
    """x(n + 31) = sum of x(n + tap), first 31 values = bits of `start`, lowest first."""
    sequence = np.zeros(max(length, 31), np.uint8)
    sequence[:31] = (start >> np.arange(31)) & 1
    have = 31
    # Over GF(2) the recursion also holds with all distances doubled, so the known part doubles at each step.
    stretch = 1
    while have < length:
        while 62 * stretch <= have:
            stretch *= 2
        step = min((31 - max(taps)) * stretch, length - have)
        first = have - 31 * stretch
        for tap in taps:
            sequence[have : have + step] ^= sequence[first + tap * stretch : first + tap * stretch + step]
        have += step
    return sequence[:length]


def gold_sequence(seed: int, length: int) -> NDArray[np.uint8]:
    """c(0) to c(length - 1) for c_init = seed (31 bits), uint8 of 0 and 1."""
    if not 0 <= seed < 1 << 31:
        raise ValueError(f"seed must be from 0 to 2**31 - 1, not {seed}")
    total = length + _ADVANCE
    return (_m_sequence(1, (0, 3), total) ^ _m_sequence(seed, (0, 1, 2, 3), total))[_ADVANCE:]


@lru_cache(maxsize=1)
def _longest(power: int) -> NDArray[np.uint8]:
    sequence = gold_sequence(SEED, 1 << power)
    sequence.setflags(write=False)
    return sequence


def scrambling_bits(length: int) -> NDArray[np.uint8]:
    """The link's first `length` scrambling bits (read-only view)."""
    return _longest(max(20, (length - 1).bit_length()))[:length]


def scramble(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bits [n] to scrambled bits [n]; the same again undoes it."""
    return bits ^ scrambling_bits(len(bits))


def descramble_llr(llr: NDArray[np.float32]) -> NDArray[np.float32]:
    """LLRs [n] of scrambled bits to LLRs of the bits."""
    # Multiplying by -1 where the scrambling bit is 1.
    return llr * (np.float32(1) - np.float32(2) * scrambling_bits(len(llr)))
