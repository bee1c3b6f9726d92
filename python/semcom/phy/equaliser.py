# SPDX-License-Identifier: GPL-3.0-or-later
"""One-tap equaliser: divides by the coefficient and says how noisy each symbol has become."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEAST_GAIN = np.float32(1e-20)  # keeps a symbol in a perfect fade at 0 with a huge but finite noise variance


def equalise(
    received: NDArray[np.complex64], coefficients: NDArray[np.complex64], noise_var: float
) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """y / h, complex64 [n], and its noise variance noise_var / |h|^2, float32 [n]; noise_var above 0."""
    if not noise_var > 0:
        raise ValueError(f"noise_var must be above 0, not {noise_var!r}")
    h = np.asarray(coefficients, np.complex64)
    y = np.asarray(received, np.complex64)
    if y.shape != h.shape:
        raise ValueError(f"coefficients must have the burst's shape {list(y.shape)}, not {list(h.shape)}")
    with np.errstate(over="ignore", invalid="ignore"):
        gain = h.real * h.real + h.imag * h.imag
        known = np.isfinite(gain)  # a coefficient that is no number says as little as a fade to 0
        inverse = np.float32(1) / np.where(known, np.maximum(gain, _LEAST_GAIN), _LEAST_GAIN)
        equalised = np.where(known, y * np.conj(h) * inverse, 0).astype(np.complex64)
    return equalised, np.float32(noise_var) * inverse
