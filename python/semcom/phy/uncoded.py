# SPDX-License-Identifier: GPL-3.0-or-later
"""What a channel does to symbols without a code: exact bit and symbol error rates of the Gray mappings.

Coherent detection with the coefficient known, Es/N0 the mean over the fades, E|h|^2 = 1. Sources: Cho and Yoon, "On
the general BER expression of one- and two-dimensional amplitude modulations", IEEE Trans. Commun. 2002, equations 14
and 16 (the bit error rate is a finite sum of Gaussian tails); Simon and Alouini, "Digital Communication over Fading
Channels", 2nd edition, sections 4.1, 5.1 and 8.2 (Gaussian tails averaged over fading by the moment generating
function of the SNR; closed forms for Rayleigh).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .channel import check_model, check_rician_k
from .modulation import Modulation

Rates = NDArray[np.float64]
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(128)


def gaussian_tail(x: ArrayLike) -> Rates:
    """Q(x), the probability that a standard normal variable is above x, of x's shape."""
    values = np.asarray(x, np.float64)
    flat = [0.5 * math.erfc(v / math.sqrt(2.0)) for v in values.reshape(-1)]
    return np.array(flat, np.float64).reshape(values.shape)


def uncoded_ber(modulation: str, esn0_db: ArrayLike, model: str = "awgn", rician_k: float = 1.0) -> Rates:
    """Bit error rate of hard decisions at each Es/N0 in dB, of its shape.

    ValueError for an unknown modulation or channel, a NaN, or a rician_k below 0.
    """
    scale, terms = _bit_error_terms(modulation)
    gamma = _snr(esn0_db) * scale
    return sum((w * _tail(odd**2 * gamma, model, rician_k) for odd, w in terms), np.zeros(gamma.shape))


def uncoded_ser(modulation: str, esn0_db: ArrayLike, model: str = "awgn", rician_k: float = 1.0) -> Rates:
    """Symbol error rate of hard decisions at each Es/N0 in dB, of its shape. Errors as `uncoded_ber`."""
    scale, _ = _bit_error_terms(modulation)
    gamma = _snr(esn0_db) * scale
    if modulation == "bpsk":
        return _tail(gamma, model, rician_k)
    # A symbol is right if both of its amplitudes are: 1 - (1 - p Q)^2 with p = 2 (1 - 1 / levels).
    p = 2.0 * (1.0 - 2.0 ** -(Modulation(modulation).bits_per_symbol / 2))
    return 2.0 * p * _tail(gamma, model, rician_k) - p**2 * _squared_tail(gamma, model, rician_k)


def uncoded_bler(
    modulation: str, symbols: int, esn0_db: ArrayLike, model: str = "awgn", rician_k: float = 1.0
) -> Rates:
    """Probability that any of `symbols` symbols is decided wrongly, each with its own fade; errors as `uncoded_ber`.

    ValueError unless symbols is at least 1.
    """
    if symbols < 1:
        raise ValueError(f"symbols must be at least 1, not {symbols!r}")
    ser = uncoded_ser(modulation, esn0_db, model, rician_k)
    return -np.expm1(symbols * np.log1p(-np.minimum(ser, 1.0 - 1e-15)))


@lru_cache(maxsize=8)
def _bit_error_terms(modulation: str) -> tuple[float, tuple[tuple[int, float], ...]]:
    """(c, ((odd, w), ...)): the bit error rate is the sum of w Q(odd sqrt(c Es/N0)). Cho and Yoon, (14) and (16)."""
    bits = Modulation(modulation).bits_per_symbol
    if bits == 1:
        return 2.0, ((1, 1.0),)
    levels = 1 << (bits // 2)
    weights: dict[int, float] = {}
    for k in range(1, bits // 2 + 1):
        half = 1 << (k - 1)
        for i in range(levels - levels // (1 << k)):
            sign = -1 if (i * half // levels) % 2 else 1
            weight = sign * (half - math.floor(i * half / levels + 0.5)) * 2.0 / levels / (bits // 2)
            weights[2 * i + 1] = weights.get(2 * i + 1, 0.0) + weight
    return 3.0 / (levels**2 - 1), tuple((odd, w) for odd, w in weights.items() if w)


def _snr(esn0_db: ArrayLike) -> Rates:
    values = np.asarray(esn0_db, np.float64)
    if np.isnan(values).any():
        raise ValueError("esn0_db must be a number, found NaN")
    return 10.0 ** (np.clip(values, -200.0, 200.0) / 10.0)


def _tail(gamma: Rates, model: str, rician_k: float) -> Rates:
    """Mean of Q(sqrt(gamma |h|^2))."""
    check_model(model)
    if model == "awgn":
        return gaussian_tail(np.sqrt(gamma))
    if model == "rayleigh":
        # 1 - sqrt(g / (1 + g)) without its cancellation at high SNR
        g = gamma / 2.0
        return 0.5 / (1.0 + g + np.sqrt(g * (1.0 + g)))
    return _craig(gamma, rician_k, math.pi / 2)


def _squared_tail(gamma: Rates, model: str, rician_k: float) -> Rates:
    """Mean of Q^2(sqrt(gamma |h|^2))."""
    check_model(model)
    if model == "awgn":
        return gaussian_tail(np.sqrt(gamma)) ** 2
    if model == "rayleigh":
        mu = np.sqrt(gamma / (2.0 + gamma))
        return 0.25 - mu * np.arctan(1.0 / mu) / math.pi
    return _craig(gamma, rician_k, math.pi / 4)


def _craig(gamma: Rates, rician_k: float, upper: float) -> Rates:
    """Craig's integral of the Rician moment generating function from 0 to pi/2 (for Q) or pi/4 (for Q^2)."""
    k = check_rician_k(rician_k)
    angle = 0.5 * upper * (_NODES + 1.0)
    s = gamma[..., None] / (2.0 * np.sin(angle) ** 2)
    values = (1.0 + k) / (1.0 + k + s) * np.exp(-k * s / (1.0 + k + s))
    return np.sum(values * _WEIGHTS, axis=-1) * (0.5 * upper / math.pi)
