# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows on a received picture which parts of it the receiver is not sure of."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLOUR = (255, 0, 64)
STRENGTH = 0.45  # of the colour where nothing is known
LEAST = 8  # of 255: less doubt is not shown


def packed_doubt(doubt: NDArray[np.uint8]) -> dict[str, Any]:
    """How doubtful each cell of a picture is, uint8 [rows, columns], 255 where nothing is known, as a packet's meta has
    it under `doubt`; cells are equally large and cover the picture."""
    return {"shape": list(doubt.shape), "data": base64.b64encode(doubt.tobytes()).decode()}


def unpacked_doubt(told: object) -> NDArray[np.uint8] | None:
    """What `packed_doubt` gave; None where it is no such thing."""
    try:
        rows, columns = (int(side) for side in told["shape"])  # type: ignore[index]
        data = base64.b64decode(told["data"], validate=True)  # type: ignore[index]
    except (TypeError, KeyError, ValueError, binascii.Error):
        return None
    if min(rows, columns) < 1 or len(data) != rows * columns:
        return None
    return np.frombuffer(data, np.uint8).reshape(rows, columns)


def with_doubt(picture: NDArray[np.uint8], told: object, cell: int = 4) -> NDArray[np.uint8]:
    """The picture, uint8 [H, W, 3], red where `doubt` says so, in cells of `cell` pixels; unchanged without doubt."""
    doubt = unpacked_doubt(told)
    if doubt is None:
        return picture
    height, width = picture.shape[:2]
    rows = np.minimum(np.arange(height) // cell, doubt.shape[0] - 1)
    columns = np.minimum(np.arange(width) // cell, doubt.shape[1] - 1)
    wide = doubt[rows[:, None], columns[None]]
    share = np.where(wide < LEAST, 0, wide).astype(np.float32)[:, :, None] * np.float32(STRENGTH / 255)
    return np.rint(picture + share * (np.array(COLOUR, np.float32) - picture)).astype(np.uint8)
