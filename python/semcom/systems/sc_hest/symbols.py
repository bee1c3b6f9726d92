# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers as phases: a value in -4..4 turns each of its four symbols by up to 3/4 of a half turn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...speech.prosody import COUNT

REPEATED = 4
SYMBOLS = COUNT * REPEATED
RANGE = 4.0  # deviations; what lies beyond is clipped
TURN = 0.75 * np.pi

Floats = NDArray[np.float32]


def to_symbols(numbers: NDArray[np.floating]) -> NDArray[np.complex64]:
    """float32 [16] to complex64 [64], each of energy 1; the copies of a number lie 16 symbols apart."""
    phases = np.clip(np.asarray(numbers, np.float64), -RANGE, RANGE) / RANGE * TURN
    return np.tile(np.exp(1j * phases), REPEATED).astype(np.complex64)


def to_numbers(symbols: NDArray[np.complex64], noise_var: Floats) -> Floats:
    """The numbers float32 [16] of symbols [64] and their noise variances [64].

    The phase of the weighted sum, shrunk by what noise of that size leaves of a phase; 0, the mean, where nothing is
    known.
    """
    good = np.isfinite(symbols) & np.isfinite(noise_var) & (noise_var >= 0)
    weights = np.where(good, 1 / np.maximum(np.where(good, noise_var, 1.0), 1e-6), 0.0)
    total = (np.where(good, symbols, 0) * weights).reshape(REPEATED, COUNT).sum(0)
    precision = weights.reshape(REPEATED, COUNT).sum(0)
    values = np.angle(total) / TURN * RANGE
    variance = (RANGE / TURN) ** 2 / np.maximum(2 * precision, 1e-9)  # of the phase of a sum, high Es/N0
    return np.clip(values / (1 + variance), -RANGE, RANGE).astype(np.float32)
