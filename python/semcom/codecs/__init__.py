# SPDX-License-Identifier: GPL-3.0-or-later
"""Classic source codecs by name. A codec is imported when first asked for."""

from __future__ import annotations

import importlib
from functools import cache

from .base import ImageCodec

__all__ = ["ImageCodec", "get_codec", "names"]

_CLASSES = {
    "jpeg": "Jpeg",
    "webp": "Webp",
    "avif": "Avif",
    "hevc": "Hevc",
    "jpeg2000": "Jpeg2000",
    "raw": "Raw",
}


def names() -> list[str]:
    """All codecs."""
    return list(_CLASSES)


@cache
def get_codec(name: str) -> ImageCodec:
    """The codec of that name; ValueError lists the names there are."""
    if name not in _CLASSES:
        raise ValueError(f"unknown codec {name!r}: expected one of {', '.join(_CLASSES)}")
    return getattr(importlib.import_module(f"{__package__}.{name}"), _CLASSES[name])()
