# SPDX-License-Identifier: GPL-3.0-or-later
"""PSNR, SSIM and MS-SSIM of pictures, uint8 [H, W, 3].

Wang, Bovik, Sheikh, Simoncelli 2004 (SSIM) and Wang, Simoncelli, Bovik 2003 (MS-SSIM): Gaussian window of 11x11 with
sigma 1.5, valid area only, K1 = 0.01, K2 = 0.03, each colour channel by itself, then the mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

PSNR_CAP_DB = 100.0  # identical pictures; strict JSON has no infinity
WINDOW = 11
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SSIM_SMALLEST = 161  # pixels a side: below it the fifth scale is smaller than the window

_taps = np.exp(-((np.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * 1.5**2))
_taps /= _taps.sum()

Picture = NDArray[np.uint8]


def psnr_db(original: Picture, received: Picture) -> float:
    """Peak signal-to-noise ratio in dB over all RGB samples, at most 100."""
    error = np.mean((original.astype(np.float64) - received) ** 2)
    return PSNR_CAP_DB if error == 0 else min(PSNR_CAP_DB, float(10 * np.log10(255**2 / error)))


def _blur(x: NDArray[np.float64]) -> NDArray[np.float64]:
    edge = WINDOW // 2
    x = correlate1d(x, _taps, axis=0)[edge : x.shape[0] - edge]
    return correlate1d(x, _taps, axis=1)[:, edge : x.shape[1] - edge]


def _similarity(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """SSIM and its contrast-structure part, each [3]."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = _blur(x), _blur(y)
    vx, vy, cov = _blur(x * x) - mx * mx, _blur(y * y) - my * my, _blur(x * y) - mx * my
    contrast = (2 * cov + c2) / (vx + vy + c2)
    luminance = (2 * mx * my + c1) / (mx * mx + my * my + c1)
    return (luminance * contrast).mean((0, 1)), contrast.mean((0, 1))


def ssim(original: Picture, received: Picture) -> float | None:
    """Structural similarity, mean over RGB; None where a side is shorter than the window."""
    if min(original.shape[:2]) < WINDOW:
        return None
    return float(_similarity(original.astype(np.float64), received.astype(np.float64))[0].mean())


def ms_ssim(original: Picture, received: Picture) -> float | None:
    """Multi-scale structural similarity with five scales, mean over RGB; None below 161 pixels a side."""
    if min(original.shape[:2]) < MS_SSIM_SMALLEST:
        return None
    x, y = original.astype(np.float64), received.astype(np.float64)
    value = np.ones(3)
    for scale, weight in enumerate(SCALE_WEIGHTS):
        whole, contrast = _similarity(x, y)
        last = scale == len(SCALE_WEIGHTS) - 1
        value *= np.maximum(whole if last else contrast, 0) ** weight
        if not last:
            x, y = _halve(x), _halve(y)
    return float(value.mean())


def _halve(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of 2x2; an odd side is padded by a zero, as the reference implementation pools."""
    odd = [size % 2 for size in x.shape[:2]]
    x = np.pad(x, ((odd[0], odd[0]), (odd[1], odd[1]), (0, 0)))
    height, width = (size // 2 for size in x.shape[:2])
    return x[: 2 * height, : 2 * width].reshape(height, 2, width, 2, 3).mean((1, 3))


def image_metrics(original: Picture, received: Picture | None) -> dict[str, float | None]:
    """All picture metrics under their names. A message that never came out (None) counts its worst:
    mid-grey for PSNR, 0 for the similarities."""
    if received is None:
        grey = np.full_like(original, 128)
        small = min(original.shape[:2])
        return {
            "psnr_db": psnr_db(original, grey),
            "ssim": 0.0 if small >= WINDOW else None,
            "ms_ssim": 0.0 if small >= MS_SSIM_SMALLEST else None,
        }
    if original.shape != received.shape:
        raise ValueError(f"pictures differ in shape: {original.shape} and {received.shape}")
    return {
        "psnr_db": psnr_db(original, received),
        "ssim": ssim(original, received),
        "ms_ssim": ms_ssim(original, received),
    }
