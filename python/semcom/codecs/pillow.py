# SPDX-License-Identifier: GPL-3.0-or-later
"""Decoding and encoding by Pillow, for the codecs it has."""

from __future__ import annotations

import io
import struct
import warnings
from typing import Any

import numpy as np

from .base import Picture, checked


def save(image: Picture, file_format: str, **options: Any) -> bytes:
    """The file of a picture; OSError is turned into ValueError."""
    from PIL import Image

    buffer = io.BytesIO()
    try:
        Image.fromarray(image).save(buffer, file_format, **options)
    except OSError as error:
        raise ValueError(f"{file_format} cannot hold this picture: {error}") from error
    return buffer.getvalue()


def load(data: bytes, file_format: str, shape: tuple[int, int]) -> Picture:
    """The picture of a file that may be hostile: its size is checked before it is decoded."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=[file_format]) as picture:
                if picture.size != (shape[1], shape[0]):
                    raise ValueError(f"file says {picture.size}, expected {(shape[1], shape[0])}")
                return checked(np.asarray(picture.convert("RGB")), shape)
    except UnidentifiedImageError as error:
        raise ValueError(f"not a {file_format} file") from error
    except (OSError, SyntaxError, EOFError, struct.error, IndexError, KeyError, TypeError, MemoryError) as error:
        raise ValueError(f"damaged {file_format} file: {error}") from error
    except (RuntimeError, Image.DecompressionBombError) as error:
        raise ValueError(f"damaged {file_format} file: {error}") from error
