# SPDX-License-Identifier: GPL-3.0-or-later
"""JPEG XL (ISO/IEC 18181-1), a bare codestream, by libjxl through the package imagecodecs, which is optional."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .base import ImageCodec, Picture, Shape

SIGNATURE = b"\xff\x0a"
RATIOS = (None, (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width to height, 18181-1 table D.1
COARSEST_WHOLE = 199  # from distance 20 on libjxl codes the picture at half its size


class JPEGXL(ImageCodec):
    """Lossy, effort 7, the library's own default; quality is its perceptual distance in tenths, 250 to 1. It is tuned
    for the eye at high rates: in squared error, below 0.3 bit/pixel, it comes behind AVIF."""

    name = "jpeg_xl"
    title = "JPEG XL (libjxl, codestream, effort 7); quality in tenths of its distance"
    qualities: ClassVar[range] = range(250, 0, -1)
    default_quality = 30

    def check_installed(self) -> None:
        """ValueError that says what to install."""
        _imagecodecs()

    def variants(self, model: str) -> tuple[str, ...]:
        """Half-size coding gives larger files just beyond its threshold than full size just before: a search over
        all distances would stop in either part, so one without half size is made beside it."""
        return ("any", "whole")

    def compress(self, image: Picture, quality: int, variant: str) -> bytes:
        """One codestream; one thread."""
        distance = (min(quality, COARSEST_WHOLE) if variant == "whole" else quality) / 10
        encode = _imagecodecs().jpegxl_encode
        try:
            data = encode(image, effort=7, distance=distance, lossless=False, usecontainer=False, numthreads=1)
        except Exception as error:  # the package's own exception class, and ValueError for sides it cannot code
            size = f"{image.shape[1]}x{image.shape[0]}"
            raise ValueError(f"JPEG XL cannot encode a picture of {size}: {error}") from error
        return bytes(data)

    def decode(self, data: bytes, shape: Shape) -> Picture:
        """The picture of a whole codestream of 8-bit RGB, the only kind `compress` writes."""
        height, width = shape[:2]
        decode = _imagecodecs().jpegxl_decode
        if _announced(data) != (height, width):
            raise ValueError(f"broken JPEG XL file: not {width}x{height}, 8-bit RGB, one picture")
        try:
            picture = np.asarray(decode(data, numthreads=1))
        except Exception as error:  # broken files make the reader raise nearly anything
            raise ValueError(f"broken JPEG XL file: {' '.join(str(error).split())}") from error
        if picture.shape != (height, width, 3) or picture.dtype != np.uint8:
            raise ValueError(f"broken JPEG XL file: holds {picture.dtype} {list(picture.shape)}")
        return picture


def _imagecodecs() -> Any:
    try:
        import imagecodecs
    except ImportError as error:
        raise ValueError(
            f"jpeg_xl needs the package imagecodecs ({error}): pip install -c constraints.txt imagecodecs"
        ) from error
    return imagecodecs


def _announced(data: bytes) -> tuple[int, int] | None:
    """Height and width in the size header (18181-1 D.2) if all image metadata are the defaults (D.3): 8-bit RGB, no
    preview, animation or extra channel, so that memory is bounded by the size. None for any other file."""
    if data[:2] != SIGNATURE or len(data) < 16:
        return None
    bits = int.from_bytes(data[2:16], "little")

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & ((1 << count) - 1), bits >> count
        return value

    def side() -> int:
        return 8 * (take(5) + 1) if small else 1 + take((9, 13, 18, 30)[take(2)])

    small = take(1)
    height = side()
    ratio = RATIOS[take(3)]
    width = side() if ratio is None else height * ratio[0] // ratio[1]
    return (height, width) if take(1) else None
