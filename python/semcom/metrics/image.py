# SPDX-License-Identifier: GPL-3.0-or-later
"""Picture quality: PSNR, SSIM (Wang et al. 2004) and MS-SSIM (Wang et al. 2003) of 8-bit RGB, in double precision."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Plane = NDArray[np.float64]

BEST_PSNR_DB = 100.0
"""PSNR of equal pictures: JSON has no infinity, and no 8-bit difference of one picture comes near it."""

MID_GREY = 128
WINDOW = 11
SIGMA = 1.5
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
SMALLEST_MS_SSIM = (WINDOW - 1) * 2 ** (len(WEIGHTS) - 1) + 1
"""Sides below 161 leave no whole window at the coarsest scale."""

C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2


def psnr_db(original: Picture, received: Picture) -> float:
    """Peak signal-to-noise ratio in dB over all pixels and channels, peak 255; 100 for equal pictures."""
    _check(original, received)
    difference = original.astype(np.float64) - received
    error = float(np.vdot(difference, difference)) / difference.size
    return BEST_PSNR_DB if error == 0 else min(BEST_PSNR_DB, float(10 * np.log10(255**2 / error)))


def ssim(original: Picture, received: Picture) -> float | None:
    """Structural similarity, Gaussian window 11x11 of sigma 1.5 where it lies wholly inside, mean over pixels and
    channels; None for sides below 11."""
    _check(original, received)
    if min(original.shape[:2]) < WINDOW:
        return None
    return float(np.mean([_ssim_plane(x, y)[0] for x, y in _channels(original, received)]))


def ms_ssim(original: Picture, received: Picture) -> float | None:
    """Multi-scale structural similarity, 5 scales, mean over channels; None for sides below 161.

    As `pytorch-msssim` defines it: negative terms count 0, scales are halved by 2x2 means, zeros beyond odd edges.
    """
    _check(original, received)
    if min(original.shape[:2]) < SMALLEST_MS_SSIM:
        return None
    return float(np.mean([_ms_ssim_plane(x, y) for x, y in _channels(original, received)]))


def _ms_ssim_plane(x: Plane, y: Plane) -> float:
    product = 1.0
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            x, y = _halved(x), _halved(y)
        similarity, contrast = _ssim_plane(x, y)
        term = similarity if scale == len(WEIGHTS) - 1 else contrast
        product *= max(term, 0.0) ** weight
    return product


def bits_per_pixel(bits: int, shape: tuple[int, ...]) -> float:
    """Bits of a message before channel coding over its pixels; `shape` is (H, W, ...)."""
    return bits / (shape[0] * shape[1])


def bandwidth_compression_ratio(bits: int, code_rate: float, shape: tuple[int, ...]) -> float:
    """Coded bits over the 24 bits a pixel of the uncompressed picture."""
    if not 0 < code_rate <= 1:
        raise ValueError(f"code_rate must be in (0, 1], got {code_rate}")
    return bits_per_pixel(bits, shape) / code_rate / 24


def image_metrics(original: Picture, received: Picture | None) -> dict[str, float | None]:
    """`psnr_db`, `ms_ssim` and `ssim`, None where a picture is too small for one.

    A message that never came out (`received` None) counts the worst: mid-grey for PSNR, 0 for the similarities.
    """
    if received is not None:
        return {
            "psnr_db": psnr_db(original, received),
            "ms_ssim": ms_ssim(original, received),
            "ssim": ssim(original, received),
        }
    side = min(original.shape[:2])
    return {
        "psnr_db": psnr_db(original, np.full_like(original, MID_GREY)),
        "ms_ssim": 0.0 if side >= SMALLEST_MS_SSIM else None,
        "ssim": 0.0 if side >= WINDOW else None,
    }


def _check(original: Picture, received: Picture) -> None:
    for name, picture in (("original", original), ("received", received)):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
            raise ValueError(f"{name} must be uint8 [H, W, 3], got {picture.dtype} {list(picture.shape)}")
    if original.shape != received.shape:
        raise ValueError(f"pictures differ in shape: {list(original.shape)} and {list(received.shape)}")


def _channels(original: Picture, received: Picture) -> Iterator[tuple[Plane, Plane]]:
    """Both pictures' channels, float64 [H, W], one after another: large pictures need the memory."""
    for channel in range(3):
        yield original[:, :, channel].astype(np.float64), received[:, :, channel].astype(np.float64)


def _window() -> Plane:
    offsets = np.arange(WINDOW) - WINDOW // 2
    window = np.exp(-(offsets**2) / (2 * SIGMA**2))
    return window / window.sum()


def _filtered(plane: Plane) -> Plane:
    """Separable Gaussian mean where the window lies wholly inside."""
    from scipy.ndimage import correlate1d

    window, edge = _window(), WINDOW // 2
    rows = correlate1d(plane, window, axis=0, mode="constant")[edge:-edge]
    return correlate1d(rows, window, axis=1, mode="constant")[:, edge:-edge]


def _ssim_plane(x: Plane, y: Plane) -> tuple[float, float]:
    """Mean similarity and mean contrast-structure term of one channel."""
    mean_x, mean_y = _filtered(x), _filtered(y)
    squares, product = mean_x**2 + mean_y**2, mean_x * mean_y
    variances = _filtered(x**2 + y**2) - squares  # only the sum of both is needed
    covariance = _filtered(x * y) - product
    contrast = (2 * covariance + C2) / (variances + C2)
    similarity = (2 * product + C1) / (squares + C1) * contrast
    return float(similarity.mean()), float(contrast.mean())


def _halved(plane: Plane) -> Plane:
    """2x2 means; an odd side gets a zero before and after, which is what the reference pools over."""
    odd_rows, odd_columns = plane.shape[0] % 2, plane.shape[1] % 2
    padded = np.pad(plane, ((odd_rows, odd_rows), (odd_columns, odd_columns)))
    rows, columns = padded.shape[0] // 2 * 2, padded.shape[1] // 2 * 2
    padded = padded[:rows, :columns]
    return (padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]) / 4
