# SPDX-License-Identifier: GPL-3.0-or-later
"""Phases by alternating projections: Griffin and Lim, IEEE TASSP 32(2), 1984, with the momentum of Perraudin, Balazs
and Sondergaard, WASPAA 2013."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft

from ..mel import BINS, HOP, WINDOW, mel_bands, spectrum, window
from .base import Vocoder

ROUNDS = 32
MOMENTUM = 0.99
UNMEL_ROUNDS = 12


class GriffinLim(Vocoder):
    """Magnitudes by non-negative least squares, phases from noise of a fixed seed."""

    name = "griffin_lim"

    def spoken(self, log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
        """See the base."""
        magnitude = linear_magnitude(np.exp(log_mel))
        angles = np.random.default_rng(0).uniform(-np.pi, np.pi, (len(magnitude), BINS)).astype(np.float32)
        value = magnitude * np.exp(1j * angles)
        last = np.zeros_like(value)
        for _ in range(ROUNDS):
            consistent = spectrum(overlap_add(value))[: len(value)]
            ahead = consistent + MOMENTUM * (consistent - last)
            last = consistent
            value = magnitude * ahead / np.maximum(np.abs(ahead), 1e-9)
        return overlap_add(value)


def linear_magnitude(mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Magnitudes float32 [T, 513] whose bands come near `mel` [T, 80]: multiplicative steps of Lee and Seung (2001)
    from the bands' own densities, so that nothing gets negative."""
    bands = mel_bands()
    total = bands.sum(0)
    weights = bands / np.maximum(bands.sum(1, keepdims=True), 1e-9)
    value = (mel / total) @ weights.T + 1e-8
    square = _square()
    wanted = mel @ bands.T
    for _ in range(UNMEL_ROUNDS):
        value *= wanted / np.maximum(value @ square, 1e-12)
    return value


@lru_cache(maxsize=1)
def _square() -> NDArray[np.float32]:
    bands = mel_bands()
    return np.ascontiguousarray(bands @ bands.T)


def overlap_add(value: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Samples float32 [256 T] of centred windows, complex64 [T, 513]: the least-squares inverse."""
    frames = np.asarray(irfft(value, WINDOW, axis=1), np.float32) * window()
    count, parts = len(frames), WINDOW // HOP
    out = np.zeros((count + parts - 1, HOP), np.float32)
    weight = np.zeros_like(out)
    squares = (window() ** 2).reshape(parts, HOP)
    for part in range(parts):
        out[part : part + count] += frames[:, part * HOP : (part + 1) * HOP]
        weight[part : part + count] += squares[part]
    flat = (out / np.maximum(weight, 1e-3)).reshape(-1)
    return flat[WINDOW // 2 : WINDOW // 2 + HOP * count]
