# SPDX-License-Identifier: GPL-3.0-or-later
"""WebP, lossy."""

from __future__ import annotations

from . import pillow
from .base import ImageCodec, Picture


class Webp(ImageCodec):
    """RFC 9649, VP8 key frame, slowest and best of libwebp's methods."""

    name = "webp"
    title = "WebP, lossy"
    lowest, highest, default = 0, 100, 50

    def compress(self, image: Picture, quality: int, model: str) -> bytes:
        """The file."""
        return pillow.save(image, "WEBP", quality=quality, method=6)

    def decode(self, data: bytes, shape: tuple[int, int]) -> Picture:
        """The picture."""
        return pillow.load(data, "WEBP", shape)
