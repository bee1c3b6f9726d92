# SPDX-License-Identifier: GPL-3.0-or-later
"""No compression: every pixel as 24 bits, the floor of all comparisons."""

from __future__ import annotations

import struct
from typing import ClassVar

import numpy as np

from .base import ImageCodec, Picture, Shape, mid_grey

HEADER = struct.Struct(">HH")


class Raw(ImageCodec):
    """Height and width, 16 bits each, then the pixels row by row."""

    name = "raw"
    title = "uncompressed RGB, 24 bits a pixel"
    qualities: ClassVar[range] = range(8, 9)
    default_quality = 8

    def compress(self, image: Picture, quality: int, variant: str) -> bytes:
        """Header and pixels."""
        height, width = image.shape[:2]
        if max(height, width) > 0xFFFF:
            raise ValueError(f"raw cannot encode a picture of {width}x{height}: at most 65535 a side")
        return HEADER.pack(height, width) + image.tobytes()

    def decode(self, data: bytes, shape: Shape) -> Picture:
        """The pixels."""
        picture = self.salvage(data, len(data), shape)
        if len(data) != HEADER.size + picture.size:
            raise ValueError(f"broken raw file: {len(data)} bytes, not {HEADER.size + picture.size}")
        return picture

    def salvage(self, prefix: bytes, size: int, shape: Shape) -> Picture:
        """The pixels that arrived, the others mid-grey."""
        if len(prefix) < HEADER.size or HEADER.unpack_from(prefix) != tuple(shape[:2]):
            raise ValueError(f"broken raw file: its header is not {shape[1]}x{shape[0]}")
        picture = mid_grey(shape)
        pixels = np.frombuffer(prefix, np.uint8, offset=HEADER.size)[: picture.size]
        picture.reshape(-1)[: pixels.size] = pixels
        return picture
