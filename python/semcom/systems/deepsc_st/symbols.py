# SPDX-License-Identifier: GPL-3.0-or-later
"""Which value of the network travels in which symbol, and when. No torch here: links need none."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SYMBOLS = 20  # complex symbols a frame of 40 ms
GOLDEN = (math.sqrt(5) - 1) / 2
ERASED = np.float32(1e9)  # noise variance of a symbol that nothing is known of

Values = NDArray[np.float32]


@lru_cache(maxsize=64)
def send_order(count: int) -> NDArray[np.int64]:
    """The symbol, in reading order of the frames, that is sent at each time, int64 [count].

    Steps of about the golden section of `count`, coprime to it: a fade takes a few symbols of many frames instead of
    all symbols of a few.
    """
    step = max(1, round(count * GOLDEN))
    while math.gcd(step, count) > 1:
        step += 1
    return np.arange(count, dtype=np.int64) * step % count


def to_symbols(values: Values, interleaved: bool = True) -> NDArray[np.complex64]:
    """float32 [L, 40], real and imaginary parts in turn, to complex64 [20 L] in the order sent."""
    symbols = np.ascontiguousarray(values, np.float32).reshape(-1).view(np.complex64)
    return symbols[send_order(symbols.size)] if interleaved and symbols.size else symbols


def to_values(
    symbols: NDArray[np.complex64], noise_var: NDArray[np.float32], interleaved: bool = True
) -> tuple[Values, Values]:
    """Received symbols [n] and their noise variances [n] to values [L, 40] and variances [L, 20], L = floor(n / 20).

    What is not a number counts as erased: value 0, a noise variance of 1e9.
    """
    count = symbols.size // SYMBOLS * SYMBOLS
    taken = symbols[:count].astype(np.complex64)
    variance = np.asarray(noise_var[:count], np.float32)
    good = np.isfinite(taken) & np.isfinite(variance) & (variance >= 0)
    ordered, variances = np.zeros(count, np.complex64), np.full(count, ERASED)
    at = send_order(count)[good] if interleaved and count else np.flatnonzero(good)
    ordered[at], variances[at] = taken[good], np.minimum(variance[good], ERASED)
    return ordered.view(np.float32).reshape(-1, 2 * SYMBOLS), variances.reshape(-1, SYMBOLS)
