# SPDX-License-Identifier: GPL-3.0-or-later
"""A multipath channel from known symbols: the few taps that matter, by sparse Bayesian learning.

y = A h + noise for the taps h, complex [TAPS], each Gaussian with a power of its own that is learnt too: taps that
explain nothing shrink to nothing, so a channel of three paths costs three paths' worth of estimation noise, whatever
the length that is allowed for. Source: M. E. Tipping, "Sparse Bayesian learning and the relevance vector machine",
J. Machine Learning Research 1, 2001, the updates of its EM form (eqs. 12, 13; for powers eq. 18).

What is known of y enters as sufficient statistics (b = A^H y, G = A^H A, |y|^2 and its length), which add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .ofdm import BACK_OFF, TAPS, pilot_carriers, responses
from .preamble import LENGTH, preamble

_LEAST = 1e-9  # of the channel's power: the smallest power of a tap
_LEAST_NOISE = 1e-6  # of the received power: 60 dB


@dataclass
class Estimate:
    """Taps, complex128 [TAPS], their covariance, the powers of the taps, and the noise variance of a carrier."""

    taps: NDArray[np.complex128]
    covariance: NDArray[np.complex128]
    powers: NDArray[np.float64]
    noise_var: float

    def carriers(self) -> NDArray[np.complex64]:
        """The coefficient of each carrier, complex64 [CARRIERS]."""
        return (responses() @ self.taps).astype(np.complex64)

    def error(self) -> float:
        """Mean square error of a carrier's coefficient, as the posterior has it."""
        return float(np.real(np.sum(self.covariance * full_gram().T)) / len(responses()))


@lru_cache(maxsize=1)
def full_gram() -> NDArray[np.complex128]:
    """G of one OFDM symbol of which every carrier is known."""
    a = responses().astype(np.complex128)
    return a.conj().T @ a


@lru_cache(maxsize=1)
def pilot_grams() -> NDArray[np.complex128]:
    """G of the pilots of each symbol of a frame, [FRAME, TAPS, TAPS]."""
    a = responses().astype(np.complex128)[pilot_carriers()]
    return np.conj(np.swapaxes(a, 1, 2)) @ a


@lru_cache(maxsize=2)
def preamble_matrix(strength: str) -> NDArray[np.complex128]:
    """What the taps make of the preamble, [LENGTH - BACK_OFF, TAPS]: tap l is a path of l - BACK_OFF samples."""
    padded = np.concatenate((np.zeros(TAPS), preamble(strength).astype(np.complex128)))
    rows = np.arange(LENGTH - BACK_OFF)[:, None] - (np.arange(TAPS) - BACK_OFF) + TAPS
    return padded[rows]


def learn(
    b: NDArray[np.complex128],
    gram: NDArray[np.complex128],
    start: Estimate,
    rounds: int,
    energy: float = 0.0,
    count: int = 0,
) -> Estimate:
    """Taps from b and G, beginning with the powers and the noise variance of `start`.

    With `count` above 0 the noise variance is learnt too: `energy` is the sum of |y|^2 over `count` values.
    """
    powers, noise = start.powers, start.noise_var
    least = _LEAST_NOISE * energy / count if count else 0.0
    for _ in range(max(rounds, 1)):
        root = np.sqrt(powers)
        # (G / N0 + D^-1)^-1 = D^1/2 (D^1/2 G D^1/2 / N0 + 1)^-1 D^1/2, which stands powers of zero
        inner = root[:, None] * gram * root / noise
        inner[np.diag_indices(TAPS)] += 1.0
        covariance = root[:, None] * np.linalg.inv(inner) * root
        taps = covariance @ b / noise
        powers = np.abs(taps) ** 2 + np.real(np.diag(covariance))
        powers = np.maximum(powers, _LEAST * powers.sum())
        if count:
            explained = 2 * np.vdot(taps, b).real - np.vdot(taps, gram @ taps).real
            spread = float(np.real(np.sum(covariance * gram.T)))
            noise = max((energy - explained + spread) / count, least, 1e-30)
    return Estimate(taps, covariance, powers, noise)
