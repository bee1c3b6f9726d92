# SPDX-License-Identifier: GPL-3.0-or-later
"""AVIF: an AV1 key frame in its container."""

from __future__ import annotations

from . import pillow
from .base import ImageCodec, Picture


class Avif(ImageCodec):
    """libavif with its default encoder, 4:2:0, one thread so that the file is always the same."""

    name = "avif"
    title = "AVIF (AV1 key frame), 4:2:0"
    lowest, highest, default = 0, 100, 50

    def compress(self, image: Picture, quality: int, model: str) -> bytes:
        """The file."""
        return pillow.save(image, "AVIF", quality=quality, subsampling="4:2:0", speed=5, max_threads=1)

    def decode(self, data: bytes, shape: tuple[int, int]) -> Picture:
        """The picture."""
        return pillow.load(data, "AVIF", shape)
