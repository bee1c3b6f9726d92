# SPDX-License-Identifier: GPL-3.0-or-later
"""WebP, lossy (VP8 key frame, RFC 6386), by libwebp."""

from __future__ import annotations

import struct
from typing import ClassVar

from . import pillow
from .base import ImageCodec, Picture, Shape

MODES_AT = 30
"""Where the first partition of VP8 begins: behind RIFF and chunk header (20 bytes) and frame header (10)."""


class WebP(ImageCodec):
    """Method 6, the slowest and best."""

    name = "webp"
    title = "WebP, lossy (libwebp, method 6)"
    qualities: ClassVar[range] = range(0, 101)
    default_quality = 50

    def compress(self, image: Picture, quality: int, variant: str) -> bytes:
        """One file in the simple layout."""
        return pillow.save(image, "WEBP", quality=quality, method=6)

    def decode(self, data: bytes, shape: Shape) -> Picture:
        """The picture of a whole file in the simple layout, the only one `compress` writes."""
        # the reader takes memory for the canvas when it opens the file, so the size is looked at first
        if len(data) < 30 or data[:4] != b"RIFF" or data[8:16] != b"WEBPVP8 ":
            raise ValueError("broken WEBP file: not a lossy picture in the simple layout")
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
        if (height, width) != tuple(shape[:2]):
            raise ValueError(f"broken WEBP file: holds {width}x{height}, not {shape[1]}x{shape[0]}")
        return pillow.load(data, "WEBP", shape)

    def salvage(self, prefix: bytes, size: int, shape: Shape) -> Picture:
        """The rows that arrived, over a first guess of the others from zeros in place of what is lost. Nothing shows
        before the first partition, which tells how each block is predicted, is there as a whole."""
        if len(prefix) < MODES_AT or len(prefix) < MODES_AT + (int.from_bytes(prefix[20:23], "little") >> 5):
            raise ValueError("broken WEBP file: the prediction modes are lost")
        return self.decode(prefix + bytes(size - len(prefix)), shape)
