# SPDX-License-Identifier: GPL-3.0-or-later
"""Which value of the network's planes travels in which symbol. No torch here: links need none."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

STRIDE = 8  # pixels a side of what one position of the planes stands for
PLANES = (32, 64)  # real planes sent at quality 0 and 1: 16 and 32 complex symbols for 3 * 64 values
GOLDEN = (math.sqrt(5) - 1) / 2

Planes = NDArray[np.float32]


def grid(height: int, width: int) -> tuple[int, int]:
    """Positions of the planes for a picture, padded to multiples of 8."""
    return -(-height // STRIDE), -(-width // STRIDE)


def symbol_count(height: int, width: int, quality: int) -> int:
    """Complex symbols of a picture: exactly 1/12 or 1/6 of its values where both sides are multiples of 8."""
    rows, columns = grid(height, width)
    return rows * columns * PLANES[quality] // 2


@lru_cache(maxsize=16)
def order(count: int) -> NDArray[np.int64]:
    """The symbol, in reading order of the planes, that is sent at each time, int64 [count].

    Steps of about the golden section of `count`, coprime to it: a fade of any length meets values from everywhere in
    the picture and in all planes, and each position loses few of its values.
    """
    step = max(1, round(count * GOLDEN))
    while math.gcd(step, count) > 1:
        step += 1
    return np.arange(count, dtype=np.int64) * step % count


def to_symbols(planes: Planes, quality: int) -> NDArray[np.complex64]:
    """float32 [64, h, w] of mean square 1 over the planes sent, to complex64 [n] of mean energy 1."""
    pairs = planes[: PLANES[quality]].reshape(PLANES[quality] // 2, 2, -1) * np.float32(math.sqrt(0.5))
    flat = np.empty(pairs.shape[0] * pairs.shape[2], np.complex64)
    flat.real, flat.imag = pairs[:, 0].ravel(), pairs[:, 1].ravel()
    return flat[order(flat.size)]


def to_planes(
    symbols: NDArray[np.complex64], noise_var: NDArray[np.float32], quality: int, rows: int, columns: int
) -> tuple[Planes, Planes]:
    """Symbols and their noise variances back to values and trust, float32 [64, h, w] each.

    Trust is 1 / (1 + noise_var), and 0 where nothing was sent or what came is not a number.
    """
    good = np.isfinite(symbols) & np.isfinite(noise_var) & (noise_var >= 0)
    flat = np.zeros((2, symbols.size), np.float32)
    trust = np.zeros(symbols.size, np.float32)
    at = order(symbols.size)[good]
    values = symbols[good]
    flat[0, at], flat[1, at] = values.real, values.imag
    trust[at] = 1 / (1 + noise_var[good].astype(np.float32))
    count = PLANES[quality]
    planes, trusts = np.zeros((2, PLANES[-1], rows, columns), np.float32)
    shape = (count // 2, rows, columns)
    for half in range(2):
        planes[half:count:2] = flat[half].reshape(shape) * np.float32(math.sqrt(2))
        trusts[half:count:2] = trust.reshape(shape)
    return planes, trusts
