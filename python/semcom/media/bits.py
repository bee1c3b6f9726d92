# SPDX-License-Identifier: GPL-3.0-or-later
"""Random payloads that both ends know, for measuring error rates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_BITS = 1 << 27


def random_bits(count: int, seed: int, number: int) -> NDArray[np.uint8]:
    """Message `number` of the stream with this seed: uint8 [count] of 0 and 1.

    ValueError unless count is from 0 to 2**27 and seed and number are at least 0.
    """
    if not 0 <= count <= MAX_BITS:
        raise ValueError(f"bits must be from 0 to {MAX_BITS}, not {count!r}")
    if seed < 0 or number < 0:
        raise ValueError(f"seed and number must be at least 0, not {seed!r} and {number!r}")
    packed = np.random.default_rng([seed, number]).bytes(-(-count // 8))
    return np.unpackbits(np.frombuffer(packed, np.uint8), count=count)
