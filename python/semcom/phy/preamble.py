# SPDX-License-Identifier: GPL-3.0-or-later
"""The preamble of a burst: two linear chirps of constant amplitude, one up and one down, in one of two orders.

The order tells the strength of the header that follows: "robust" goes up first, "short" down first. Each chirp sweeps
-0.4 to 0.4 cycles a sample (or back) in 156 samples, so both together last 312 samples: 253.5 symbols.

Why chirps: a carrier offset f only delays a chirp's correlation peak, by f / (0.8 / 156) samples: at most 0.98 samples
for 5e-3 cycles a sample. So one filter for each direction finds every offset without a bank of shifted copies (256
symbols of any other sequence would turn 1.6 times within the preamble, and a single correlation would see nothing of
it). Up and down move in opposite directions, which is what tells offset from delay (as in radar, and in M. Chiani,
A. Elzanaty, "On the LoRa modulation for IoT", IEEE Internet of Things J. 6(5), 2019, for chirps as symbols).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

STRENGTHS = ("robust", "short")  # index: the preamble's sequence
HALF = 156  # samples of one chirp
LENGTH = 2 * HALF
EDGE = 0.4  # cycles a sample: the sweep's ends
MAX_OFFSET = 5e-3  # cycles a sample that the receiver looks for


def check_strength(strength: str) -> int:
    """The sequence's index; ValueError, with the names, for an unknown strength."""
    if strength not in STRENGTHS:
        raise ValueError(f"strength must be one of {', '.join(STRENGTHS)}, not {strength!r}")
    return STRENGTHS.index(strength)


def chirp_cycles(instants: NDArray[np.float64]) -> NDArray[np.float64]:
    """Phase of the rising chirp in cycles at `instants` in samples, [0, HALF]: 0 at both ends."""
    return EDGE * instants * (instants / HALF - 1.0)


def preamble_at(strength: str, instants: NDArray[np.float64]) -> NDArray[np.complex128]:
    """The preamble between its samples, amplitude 1: sample n is at instant n; 0 outside of [-0.5, LENGTH - 0.5]."""
    sign = -1.0 if check_strength(strength) else 1.0
    t = np.asarray(instants, np.float64) + 0.5
    first = t < HALF
    cycles = np.where(first, sign, -sign) * chirp_cycles(np.where(first, t, t - HALF))
    return np.where((t >= 0) & (t <= LENGTH), np.exp(2j * np.pi * cycles), 0)


@lru_cache(maxsize=2)
def preamble(strength: str) -> NDArray[np.complex64]:
    """The preamble's samples, complex64 [LENGTH] of amplitude 1, read-only."""
    samples = preamble_at(strength, np.arange(LENGTH, dtype=np.float64)).astype(np.complex64)
    samples.setflags(write=False)
    return samples
