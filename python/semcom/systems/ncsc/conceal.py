# SPDX-License-Identifier: GPL-3.0-or-later
"""What a decoder shows where a segment was lost: the thumbnail, bent to meet its neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

CELL = 16  # pixels; the lost area is filled on a grid of this pitch, then enlarged


def extend_latents(latents: NDArray[np.float32], lost: NDArray[np.bool_]) -> None:
    """Fill lost 64-pixel cells of latents [C, 4r, 4c] with the nearest known ones, in place.

    Only there to give the transform sensible surroundings at the border of the lost area.
    """
    mask = np.kron(lost, np.ones((4, 4), np.bool_))
    nearest = ndimage.distance_transform_edt(mask, return_distances=False, return_indices=True)
    latents[:] = latents[:, nearest[0], nearest[1]]


def fill_smoothly(
    picture: NDArray[np.uint8], lost: NDArray[np.bool_], guess: NDArray[np.uint8], sweeps: int = 400
) -> NDArray[np.uint8]:
    """Replace lost 64-pixel cells by `guess`, corrected by how far it is off around them.

    `picture` and `guess` are uint8 [64r, 64c, 3], `lost` bool [r, c] with at least one cell known. The correction
    solves Laplace's equation on a 16-pixel grid by relaxation.
    """
    height, width = picture.shape[:2]
    error = picture.astype(np.float32) - guess
    grid = error.reshape(height // CELL, CELL, width // CELL, CELL, 3).mean((1, 3))
    mask = np.kron(lost, np.ones((64 // CELL, 64 // CELL), np.bool_))[:, :, None]
    grid = np.where(mask, 0, grid)
    for _ in range(sweeps):
        padded = np.pad(grid, ((1, 1), (1, 1), (0, 0)), mode="edge")
        mean = (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]) / 4
        grid = np.where(mask, mean, grid)
    rows = (np.arange(height) + 0.5) / CELL - 0.5
    columns = (np.arange(width) + 0.5) / CELL - 0.5
    where = np.meshgrid(rows, columns, indexing="ij")
    smooth = np.stack([ndimage.map_coordinates(grid[:, :, c], where, order=1, mode="nearest") for c in range(3)], 2)
    wide = np.kron(lost, np.ones((64, 64), np.bool_))[:, :, None]
    return np.where(wide, np.clip(np.round(guess + smooth), 0, 255), picture).astype(np.uint8)
