# SPDX-License-Identifier: GPL-3.0-or-later
"""Training pictures of 128x128: small photographs as they are, crops of large ones at several sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..deepjscc.crops import photograph_files
from .presets import SIDE

Picture = NDArray[np.uint8]
LONGEST = 1600  # shorter side, pixels, that larger photographs are reduced to
STEPS = 0.6  # each size of a photograph over the one before


def pyramid(picture: Image.Image) -> list[Picture]:
    """The photograph at falling sizes, uint8 [H, W, 3], as long as 128x128 fits; the first at most `LONGEST`."""
    picture = picture.convert("RGB")
    least = min(picture.size)
    scale = min(1.0, LONGEST / least)
    levels = []
    while least * scale >= SIDE:
        size = (max(SIDE, round(picture.width * scale)), max(SIDE, round(picture.height * scale)))
        levels.append(np.asarray(picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS)))
        scale *= STEPS
    return levels


class Pictures:
    """Photographs of folders, the last 3 % (1 to 100) kept for validation. ValueError where there are fewer than 2."""

    def __init__(self, folders: list[Path], seed: int) -> None:
        photographs = []
        for file in (file for folder in folders for file in photograph_files(folder)):
            with Image.open(file) as picture:
                if levels := pyramid(picture):
                    photographs.append(levels)
        if len(photographs) < 2:
            raise ValueError(f"no two photographs of {SIDE}x{SIDE} or more below {', '.join(map(str, folders))}")
        kept = min(100, max(1, round(0.03 * len(photographs))))
        self.training, held = photographs[:-kept], photographs[-kept:]
        self.validation = np.stack([_centre(level) for levels in held for level in levels])
        self.random = np.random.default_rng(seed)

    def batch(self, count: int) -> Picture:
        """Pictures or random crops, half of them mirrored, uint8 [count, 3, 128, 128]."""
        return np.stack([self._one() for _ in range(count)])

    def _one(self) -> Picture:
        levels = self.training[self.random.integers(len(self.training))]
        level = levels[self.random.integers(len(levels))]
        top, left = (self.random.integers(length - SIDE + 1) for length in level.shape[:2])
        crop = level[top : top + SIDE, left : left + SIDE].transpose(2, 0, 1)
        return crop[:, :, ::-1] if self.random.random() < 0.5 else crop


def _centre(picture: Picture) -> Picture:
    top, left = ((length - SIDE) // 2 for length in picture.shape[:2])
    return picture[top : top + SIDE, left : left + SIDE].transpose(2, 0, 1)
