# SPDX-License-Identifier: GPL-3.0-or-later
"""JPEG (ITU-T T.81), baseline, by libjpeg-turbo."""

from __future__ import annotations

from typing import ClassVar

from . import pillow
from .base import ImageCodec, Picture, Shape

END_OF_IMAGE = b"\xff\xd9"
TABLES = {"standard": ("4:2:0",), "optimized": ("4:2:0", "4:4:4")}


class JPEG(ImageCodec):
    """Model "optimized" makes Huffman tables for each picture; "standard" sends those of Annex K (about 420 bytes
    that at 0.17 bit/pixel are half the gain: the papers' row is "standard" at quality 1)."""

    name = "jpeg"
    title = "JPEG, baseline (libjpeg-turbo)"
    models = ("optimized", "standard")
    qualities: ClassVar[range] = range(1, 101)
    default_quality = 50

    def variants(self, model: str) -> tuple[tuple[str, str], ...]:
        """Tables and chroma subsampling."""
        return tuple((model, subsampling) for subsampling in TABLES[model])

    def compress(self, image: Picture, quality: int, variant: tuple[str, str]) -> bytes:
        """One JFIF file."""
        model, subsampling = variant
        return pillow.save(image, "JPEG", quality=quality, optimize=model == "optimized", subsampling=subsampling)

    def decode(self, data: bytes, shape: Shape) -> Picture:
        """The picture of a whole file."""
        return pillow.load(data, "JPEG", shape)

    def salvage(self, prefix: bytes, size: int, shape: Shape) -> Picture:
        """All blocks that arrived; an early end marker makes libjpeg leave the others mid-grey."""
        return pillow.load(prefix + END_OF_IMAGE, "JPEG", shape)
