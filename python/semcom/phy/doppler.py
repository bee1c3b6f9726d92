# SPDX-License-Identifier: GPL-3.0-or-later
"""Rayleigh fading that varies in time as Clarke's model says, as a seeded sum of sinusoids.

Source: C. Xiao, Y. R. Zheng, N. C. Beaulieu, "Novel sum-of-sinusoids simulation models for Rayleigh and Rician fading
channels", IEEE Trans. Wireless Communications 5(12), 2006:

    h(t) = N^(-1/2) sum_n exp(j (2 pi fd t cos((2 pi n + theta_n) / N) + phi_n)),  theta_n, phi_n uniform.

Over the ensemble E|h|^2 = 1 and E h(t + tau) h*(t) = J0(2 pi fd tau) hold exactly for any N, and the mean power of one
long packet is 1 too. Only the amplitude is not quite Rayleigh's: E|h|^4 = 2 - 1/N, and deep fades are rarer by the
share 1 / (2N), 0.8 % for the 64 sinusoids used here (0.03 dB of Es/N0).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

SINUSOIDS = 64
MAX_DOPPLER = 0.5  # cycles an item: the spectrum reaches from -doppler to +doppler
_MAX_COLUMNS = 256
_ONE_THREAD = 1 << 18  # multiplications: the largest matrix product that OpenBLAS leaves to one thread


def check_doppler(doppler: float) -> float:
    """ValueError unless the Doppler shift is from 0 to 0.5 cycles an item."""
    if not 0.0 <= doppler <= MAX_DOPPLER:
        raise ValueError(f"doppler must be from 0 to {MAX_DOPPLER} cycles a symbol, not {doppler!r}")
    return float(doppler) if doppler > 1e-12 else 0.0  # stands still for longer than any packet


def phasor(cycles: NDArray[np.float64]) -> NDArray[np.complex64]:
    """exp(j 2 pi cycles), complex64 of the same shape; exact to single precision however many cycles there are."""
    angle = ((cycles - np.rint(cycles)) * (2.0 * np.pi)).astype(np.float32)
    result = np.empty(angle.shape, np.complex64)
    np.cos(angle, out=result.real)
    np.sin(angle, out=result.imag)
    return result


def product(left: NDArray[np.complex64], right: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """left @ right, [m, k] by [k, n], in pieces so small that one thread does it, always in the same order."""
    rows, inner = left.shape
    step = max(1, min(rows, _ONE_THREAD // right.size))
    padded = np.zeros((-(-rows // step) * step, inner), np.complex64)
    padded[:rows] = left
    return (padded.reshape(-1, step, inner) @ right).reshape(-1, right.shape[1])[:rows]


def scattered(count: int, doppler: float, rng: np.random.Generator) -> NDArray[np.complex64]:
    """`count` successive coefficients, complex64; `doppler` is the largest Doppler shift in cycles an item.

    E|h|^2 = 1; with doppler 0 all are the same. ValueError unless doppler is from 0 to 0.5.
    """
    check_doppler(doppler)
    theta = rng.uniform(-0.5, 0.5, SINUSOIDS)  # in turns
    phase = rng.uniform(-0.5, 0.5, SINUSOIDS)
    if count == 0:
        return np.zeros(0, np.complex64)
    shifts = doppler * np.cos(2.0 * np.pi * (np.arange(SINUSOIDS) + theta) / SINUSOIDS)
    # exp(a + b) = exp(a) exp(b): with t = columns * row + column, two small tables make all sinusoids and the matrix
    # product sums them.
    columns = min(math.isqrt(count) + 1, _MAX_COLUMNS)
    starts = np.arange(0, count, columns, dtype=np.float64)
    rough = phasor(starts[:, None] * shifts + phase) * np.float32(1.0 / math.sqrt(SINUSOIDS))
    fine = phasor(shifts[:, None] * np.arange(columns))
    return product(rough, fine).reshape(-1)[:count]
