# SPDX-License-Identifier: GPL-3.0-or-later
"""AVIF (AV1 still picture), by libaom through libavif."""

from __future__ import annotations

from typing import ClassVar

from . import pillow
from .base import ImageCodec, Picture, Shape


class AVIF(ImageCodec):
    """4:4:4, tuned for squared error: half a decibel better at low rates than the defaults. The container, some
    300 bytes, is part of the file and counted."""

    name = "avif"
    title = "AVIF (libaom, speed 6, 4:4:4, tuned for PSNR)"
    qualities: ClassVar[range] = range(0, 101)
    default_quality = 50

    def compress(self, image: Picture, quality: int, variant: str) -> bytes:
        """One file; one thread, so that the same picture gives the same bytes everywhere."""
        return pillow.save(
            image, "AVIF", quality=quality, speed=6, subsampling="4:4:4", max_threads=1, advanced={"tune": "psnr"}
        )

    def decode(self, data: bytes, shape: Shape) -> Picture:
        """The picture of a whole file."""
        return pillow.load(data, "AVIF", shape)
