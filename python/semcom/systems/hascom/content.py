# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said as bits: six for each phoneme, always, so that a lost code block costs the phonemes in it alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...message import Bits
from ...speech.phonemes import BITS, PAUSE, SYMBOLS

LOST = -1


def to_bits(phonemes: NDArray[np.integer]) -> Bits:
    """uint8 [6 n] of phonemes [n], most significant bit first."""
    shifts = np.arange(BITS - 1, -1, -1)
    return ((np.asarray(phonemes, np.int64)[:, None] >> shifts) & 1).astype(np.uint8).reshape(-1)


def from_bits(bits: Bits, bits_ok: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Phonemes int64 [n] of bits [6 n]; LOST where a bit is in doubt. Numbers that no symbol has are pauses."""
    count = len(bits) // BITS
    rows = bits[: count * BITS].reshape(count, BITS).astype(np.int64)
    found = rows @ (1 << np.arange(BITS - 1, -1, -1))
    found[found >= len(SYMBOLS)] = PAUSE
    found[~bits_ok[: count * BITS].reshape(count, BITS).all(1)] = LOST
    return found
