# SPDX-License-Identifier: GPL-3.0-or-later
"""Classic picture codecs behind one face. `get_codec(name)` loads one when it is first asked for."""

from __future__ import annotations

import importlib
from functools import cache

from .base import ImageCodec

CODECS = {
    "jpeg": "JPEG",
    "webp": "WebP",
    "avif": "AVIF",
    "hevc": "HEVC",
    "jpeg2000": "JPEG2000",
    "jpeg_xl": "JPEGXL",
    "raw": "Raw",
}
"""Name, which is also the module, to class."""

__all__ = ["CODECS", "ImageCodec", "get_codec", "names"]


def names() -> list[str]:
    """Names of all codecs."""
    return list(CODECS)


@cache
def get_codec(name: str) -> ImageCodec:
    """The codec of that name; ValueError lists the names there are."""
    if name not in CODECS:
        raise ValueError(f"unknown codec {name!r}: expected one of {', '.join(CODECS)}")
    codec: ImageCodec = getattr(importlib.import_module(f".{name}", __name__), CODECS[name])()
    return codec
