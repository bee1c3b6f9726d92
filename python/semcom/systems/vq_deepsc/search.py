# SPDX-License-Identifier: GPL-3.0-or-later
"""The nearest code of each vector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def distances(features: NDArray[np.float32], codes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared distances less the vectors' own squares: features [T, K, h, w], codes [N, K] to [T, h, w, N].

    No [M, N, K] differences are made.
    """
    rows = features.transpose(0, 2, 3, 1)
    return (codes**2).sum(1) - 2 * (rows @ codes.T)


def nearest(features: NDArray[np.float32], codes: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Index of the nearest code, uint8 [T, h, w]; of equally near ones the lowest."""
    return distances(features, codes).argmin(3).astype(np.uint8)
