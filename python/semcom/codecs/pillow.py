# SPDX-License-Identifier: GPL-3.0-or-later
"""What the codecs that Pillow brings have in common: one way in, one guarded way out."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from .base import Picture, Shape


def save(image: Picture, form: str, **options: Any) -> bytes:
    """The file of uint8 [H, W, 3]; ValueError where the format cannot hold it (too large)."""
    from PIL import Image

    buffer = io.BytesIO()
    try:
        Image.fromarray(image).save(buffer, form, **options)
    except (OSError, ValueError, SystemError) as error:
        raise ValueError(f"{form} cannot encode a picture of {image.shape[1]}x{image.shape[0]}: {error}") from error
    return buffer.getvalue()


def load(data: bytes, form: str, shape: Shape) -> Picture:
    """uint8 [H, W, 3] of a file that must have this shape; nothing is decoded before that is known.

    Raises ValueError for anything else than a good file.
    """
    from PIL import Image

    height, width = shape[:2]
    try:
        with Image.open(io.BytesIO(data), formats=(form,)) as picture:
            if picture.size != (width, height) or picture.mode != "RGB":
                raise ValueError(f"holds {picture.size[0]}x{picture.size[1]} {picture.mode}, not {width}x{height} RGB")
            return np.array(picture)
    except Exception as error:  # broken files make the readers raise nearly anything
        raise ValueError(f"broken {form} file: {' '.join(str(error).split()) or type(error).__name__}") from error
