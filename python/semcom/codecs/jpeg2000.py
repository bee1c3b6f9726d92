# SPDX-License-Identifier: GPL-3.0-or-later
"""JPEG 2000 (ISO/IEC 15444-1), a bare codestream, by OpenJPEG."""

from __future__ import annotations

import struct
from typing import ClassVar

from . import pillow
from .base import ImageCodec, Picture, Shape

START_AND_SIZE = b"\xff\x4f\xff\x51"


class JPEG2000(ImageCodec):
    """The irreversible 9/7 wavelet with the colour transform, one quality layer; quality is the aim in quarters of
    a decibel, fine enough to fill a budget."""

    name = "jpeg2000"
    title = "JPEG 2000 (OpenJPEG, codestream, 9/7 wavelet); quality in quarters of a dB"
    qualities: ClassVar[range] = range(40, 241)
    default_quality = 128

    def compress(self, image: Picture, quality: int, variant: str) -> bytes:
        """One codestream."""
        levels = min(6, min(image.shape[:2]).bit_length())
        return pillow.save(
            image,
            "JPEG2000",
            no_jp2=True,
            irreversible=True,
            mct=1,
            num_resolutions=levels,
            quality_mode="dB",
            quality_layers=[quality / 4],
        )

    def decode(self, data: bytes, shape: Shape) -> Picture:
        """The picture of a whole codestream with one tile, the only kind `compress` writes."""
        self._check_size(data, shape)
        return pillow.load(data, "JPEG2000", shape)

    @staticmethod
    def _check_size(data: bytes, shape: Shape) -> None:
        height, width = shape[:2]
        expected = (width, height, 0, 0, width, height, 0, 0)
        if len(data) < 42 or data[:4] != START_AND_SIZE or struct.unpack_from(">8I", data, 8) != expected:
            raise ValueError(f"broken JPEG2000 file: not one tile of {width}x{height}")
