# SPDX-License-Identifier: GPL-3.0-or-later
"""Other vocal tracts, for training: bands of a spectrogram stretched along frequency (Jaitly and Hinton, 2013)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.float32]
WARP = (0.82, 1.22)


def between(values: Frames, places: NDArray[np.float64], axis: int) -> Frames:
    """Linear interpolation of a matrix along an axis at `places`, which are clipped to it."""
    last = values.shape[axis] - 1
    at = np.clip(places, 0, last)
    low = np.minimum(at.astype(np.int64), max(0, last - 1))
    share = (at - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(2)])
    high = np.minimum(low + 1, last)
    return values.take(low, axis) * (1 - share) + values.take(high, axis) * share


def warp_bands(frames: Frames, random: np.random.Generator) -> Frames:
    """Bands of [N, bands] at 0.82 to 1.22 times their number, and up to one up or down."""
    bands = frames.shape[1]
    return between(frames, np.arange(bands) * random.uniform(*WARP) + random.uniform(-1, 1), 1)
