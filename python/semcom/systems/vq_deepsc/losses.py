# SPDX-License-Identifier: GPL-3.0-or-later
"""SSIM as a loss, the same figure as `metrics.ssim` on real-valued pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from ...metrics.image import SIGMA, WINDOW

C1, C2 = 0.01**2, 0.03**2


def windows(length: int, step: int = 1, first: int = 0) -> Tensor:
    """Gaussian windows of 11 wholly inside `length`, one a row, every `step`-th from `first` on: [places, length]."""
    offsets = torch.arange(WINDOW) - WINDOW // 2
    taps = torch.exp(-offsets.square() / (2 * SIGMA**2))
    taps = taps / taps.sum()
    matrix = torch.zeros(length - WINDOW + 1, length)
    for place, row in enumerate(matrix):
        row[place : place + WINDOW] = taps
    return matrix[first::step]


def ssim(x: Tensor, y: Tensor, rows: Tensor | None = None, columns: Tensor | None = None) -> Tensor:
    """Mean SSIM of float32 [B, C, H, W] in [0, 1]. Means are matrix products, which a processor does much faster than
    a convolution a channel; `rows` and `columns`, of `windows`, may be fewer places than all."""
    rows = windows(x.shape[-2]) if rows is None else rows
    columns = windows(x.shape[-1]) if columns is None else columns
    rows, columns = rows.to(x.device), columns.to(x.device)
    maps = torch.stack([x, y, x * x + y * y, x * y])
    mean_x, mean_y, squares, product = rows @ (maps @ columns.T)
    shared = mean_x * mean_y
    powers = mean_x.square() + mean_y.square()
    contrast = (2 * (product - shared) + C2) / (squares - powers + C2)
    return ((2 * shared + C1) / (powers + C1) * contrast).mean()
