# SPDX-License-Identifier: GPL-3.0-or-later
"""Bjontegaard's comparison of codecs: the mean difference of rate at equal quality.

Source: G. Bjontegaard, ITU-T VCEG-M33 (2001), with the piecewise cubic (monotone Hermite) interpolation of the
logarithm of the rate over the quality that the common test conditions of HEVC and VVC use since instead of one
polynomial.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
SMALLEST_SHARE = 0.5
"""Of the shorter curve's span of qualities: curves that have less in common are not compared."""


def bd_rate(anchor_rate: ArrayLike, anchor_quality: ArrayLike, rate: ArrayLike, quality: ArrayLike) -> float | None:
    """Percent more rate than the anchor needs, negative for less, at the qualities that both reach: their mean.

    Rates (any unit, above 0) and qualities (higher is better, in dB) of the rungs of a curve, in any order. A rung that
    another beats in both is left out. None where fewer than two rungs remain or the curves share less than half of the
    shorter one's qualities. ValueError for lengths that differ and numbers that cannot be.
    """
    first, second = _curve(anchor_rate, anchor_quality), _curve(rate, quality)
    if min(len(first[0]), len(second[0])) < 2:
        return None
    low, high = max(first[1][0], second[1][0]), min(first[1][-1], second[1][-1])
    if high - low < SMALLEST_SHARE * min(np.ptp(first[1]), np.ptp(second[1])):
        return None
    return float(100 * np.expm1((_area(*second, low, high) - _area(*first, low, high)) / (high - low)))


def similarity_db(value: ArrayLike) -> Floats:
    """SSIM or MS-SSIM in dB, -10 log10(1 - value): near 1 the scale on which a difference means the same."""
    return np.asarray(-10 * np.log10(1 - np.asarray(value, np.float64)))


def _curve(rate: ArrayLike, quality: ArrayLike) -> tuple[Floats, Floats]:
    """Logarithms of the rates and qualities, both rising."""
    rates, qualities = np.asarray(rate, np.float64), np.asarray(quality, np.float64)
    if rates.shape != qualities.shape or rates.ndim != 1:
        raise ValueError(f"rates and qualities must be as many, got {rates.shape} and {qualities.shape}")
    if not (np.isfinite(rates).all() and np.isfinite(qualities).all() and (rates > 0).all()):
        raise ValueError("rates must be above 0 and finite, qualities finite")
    order = np.lexsort((-qualities, rates))
    rates, qualities = rates[order], qualities[order]
    best = np.maximum.accumulate(np.concatenate(([-np.inf], qualities[:-1]))) if len(rates) else qualities
    kept = qualities > best
    return np.log(rates[kept]), qualities[kept]


def _area(log_rate: Floats, quality: Floats, low: float, high: float) -> float:
    from scipy.interpolate import PchipInterpolator

    return float(PchipInterpolator(quality, log_rate).integrate(low, high))
