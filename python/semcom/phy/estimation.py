# SPDX-License-Identifier: GPL-3.0-or-later
"""How noisy a channel is, from the symbols that arrived."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .modulation import Modulation

_SYMBOLS = 16_384  # looked at, at most
_ITERATIONS = 200
_LEAST = 1e-6  # of the mean received power: 60 dB


def estimate_noise_var(
    received: NDArray[np.complex64], coefficients: NDArray[np.complex64], modulation: str
) -> float:
    """Noise variance N0 of y = h x + noise, for known h and unknown equiprobable points x of a constellation.

    received, coefficients: complex64 [n], n at least 1. The maximum of the likelihood by expectation and
    maximisation (Dempster, Laird, Rubin 1977): N0 is the mean of |y - h x|^2 over the posterior of x, repeated until
    it stands. Needs no pilots. Never below 60 dB under the received power. ValueError for shapes that differ.
    """
    y, h = np.asarray(received, np.complex64), np.asarray(coefficients, np.complex64)
    if y.shape != h.shape or y.ndim != 1 or not y.size:
        raise ValueError(f"received and coefficients must have one shape [n], not {list(y.shape)} and {list(h.shape)}")
    step = -(-y.size // _SYMBOLS)
    y, h = y[::step], h[::step]
    points = Modulation(modulation).points
    # Rotated by the phase of h, the real and the imaginary part are two amplitude modulations of their own.
    gain = np.abs(h)
    turned = y * np.exp(-1j * np.angle(h))
    if modulation == "bpsk":
        parts = [((turned.real + turned.imag) * np.sqrt(0.5), np.unique(np.sqrt(2) * points.real))]
        idle = float(np.mean((turned.real - turned.imag) ** 2) / 2)  # all noise
    else:
        parts = [(turned.real, np.unique(points.real)), (turned.imag, np.unique(points.real))]
        idle = 0.0
    squares = [(values[:, None] - gain[:, None] * levels[None, :]) ** 2 for values, levels in parts]
    least = _LEAST * float(np.mean(np.abs(y) ** 2))
    variance = max(float(np.mean(np.abs(y) ** 2)), least, 1e-30)
    for _ in range(_ITERATIONS):
        total = idle
        for square in squares:
            weight = np.exp((square.min(axis=1, keepdims=True) - square) / variance)
            total += float(np.mean(np.sum(weight * square, axis=1) / np.sum(weight, axis=1)))
        total = max(total, least, 1e-30)
        settled = abs(total - variance) < 1e-4 * variance
        variance = total
        if settled:
            break
    return variance
