# SPDX-License-Identifier: GPL-3.0-or-later
"""JPEG, with tables made for the picture (`optimized`) or those of Annex K (`standard`), 4:2:0."""

from __future__ import annotations

import io

import numpy as np

from . import pillow
from .base import GREY, ImageCodec, Picture


class Jpeg(ImageCodec):
    """ITU-T T.81, baseline, as libjpeg writes it."""

    name = "jpeg"
    title = "JPEG, 4:2:0; standard tables with --quality 1 is the papers' row"
    models = ("optimized", "standard")
    lowest, highest, default = 1, 100, 50

    def compress(self, image: Picture, quality: int, model: str) -> bytes:
        """The file; `model` says which Huffman tables."""
        if model not in ("", *self.models):
            raise ValueError(f"unknown model {model!r} for jpeg: expected {', '.join(self.models)}")
        return pillow.save(image, "JPEG", quality=quality, optimize=model != "standard")

    def decode(self, data: bytes, shape: tuple[int, int]) -> Picture:
        """The picture."""
        return pillow.load(data, "JPEG", shape)

    def conceal(self, data: bytes, intact_bytes: int, shape: tuple[int, int]) -> Picture:
        """The rows that the intact beginning still shows, the rest mid-grey."""
        from PIL import ImageFile

        picture = np.full((*shape, 3), GREY, np.uint8)
        parser = ImageFile.Parser()
        try:
            # the parser decodes what it is given; without an end it keeps the rows that are complete
            parser.feed(data[:intact_bytes])
            if parser.image is None or parser.image.size != (shape[1], shape[0]):
                return picture
            rows = _rows(data[:intact_bytes], shape)
            if rows is not None:
                shown, image = rows
                picture[:shown] = image[:shown]
        except (OSError, SyntaxError, ValueError):
            return picture
        return picture


def _rows(data: bytes, shape: tuple[int, int]) -> tuple[int, Picture] | None:
    """Rows that do not change when the missing rest is filled in two ways: those are really there."""
    from PIL import Image, ImageFile

    images = []
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        for filler in (b"", b"\x55" * 4096):
            with Image.open(io.BytesIO(data + filler), formats=["JPEG"]) as picture:
                images.append(np.asarray(picture.convert("RGB")))
    except (OSError, SyntaxError, ValueError):
        return None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
    if any(image.shape != (*shape, 3) for image in images):
        return None
    differing = np.flatnonzero((images[0] != images[1]).any((1, 2)))
    return (int(differing[0]) // 8 * 8 if len(differing) else shape[0]), images[0]
