# SPDX-License-Identifier: GPL-3.0-or-later
"""Pixels as they are: 24 bits each, nothing lost and nothing saved. The papers' uncompressed row."""

from __future__ import annotations

import numpy as np

from .base import GREY, ImageCodec, Picture


class Raw(ImageCodec):
    """Rows of RGB, without a header: the receiver knows the shape."""

    name = "raw"
    title = "uncompressed pixels, 24 bit each"
    lowest, highest, default = 0, 0, 0

    def compress(self, image: Picture, quality: int, model: str) -> bytes:
        """All samples."""
        return image.tobytes()

    def decode(self, data: bytes, shape: tuple[int, int]) -> Picture:
        """The picture; ValueError for another number of bytes."""
        if len(data) != shape[0] * shape[1] * 3:
            raise ValueError(f"{len(data)} bytes, expected {shape[0] * shape[1] * 3}")
        return np.frombuffer(data, np.uint8).reshape(*shape, 3)

    def conceal(self, data: bytes, intact_bytes: int, shape: tuple[int, int]) -> Picture:
        """The samples before the damage, the rest mid-grey."""
        samples = np.full(shape[0] * shape[1] * 3, GREY, np.uint8)
        intact = np.frombuffer(data[: min(intact_bytes, len(samples))], np.uint8)
        samples[: len(intact)] = intact
        return samples.reshape(*shape, 3)
