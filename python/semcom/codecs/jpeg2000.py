# SPDX-License-Identifier: GPL-3.0-or-later
"""JPEG 2000: a bare codestream, irreversible wavelet; quality is the PSNR asked for, in dB."""

from __future__ import annotations

from . import pillow
from .base import ImageCodec, Picture


class Jpeg2000(ImageCodec):
    """ITU-T T.800 by OpenJPEG, multiple component transform on."""

    name = "jpeg2000"
    title = "JPEG 2000 codestream; quality is the wanted PSNR in quarter dB"
    lowest, highest, default = 40, 240, 120

    def compress(self, image: Picture, quality: int, model: str) -> bytes:
        """The codestream without the JP2 container."""
        resolutions = max(1, min(6, min(image.shape[:2]).bit_length()))
        return pillow.save(
            image, "JPEG2000", no_jp2=True, irreversible=True, mct=1, quality_mode="dB",
            quality_layers=[quality / 4], num_resolutions=resolutions,
        )  # fmt: skip

    def decode(self, data: bytes, shape: tuple[int, int]) -> Picture:
        """The picture."""
        return pillow.load(data, "JPEG2000", shape)
